"""The three APIs as a run, discovery and the doctor see them: one entry each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.data_connector import catalog
from tap_autodesk_exports.autodesk.data_connector import checks as data_connector_checks
from tap_autodesk_exports.autodesk.data_connector import expected as data_connector_expected
from tap_autodesk_exports.autodesk.data_connector import listings as data_connector_listings
from tap_autodesk_exports.autodesk.data_connector.schema.registry import bundled
from tap_autodesk_exports.autodesk.data_connector.source import DataConnectorSource
from tap_autodesk_exports.autodesk.insights import checks as insights_checks
from tap_autodesk_exports.autodesk.insights import datasets as insights_datasets
from tap_autodesk_exports.autodesk.insights import expected as insights_expected
from tap_autodesk_exports.autodesk.insights import listings as insights_listings
from tap_autodesk_exports.autodesk.insights.source import InsightsSource
from tap_autodesk_exports.autodesk.tokenflex import checks as tokenflex_checks
from tap_autodesk_exports.autodesk.tokenflex import datasets as tokenflex_datasets
from tap_autodesk_exports.autodesk.tokenflex import expected as tokenflex_expected
from tap_autodesk_exports.autodesk.tokenflex import listings as tokenflex_listings
from tap_autodesk_exports.autodesk.tokenflex.source import TokenFlexSource
from tap_autodesk_exports.settings import Known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from tap_autodesk_exports.autodesk.context import RunContext
    from tap_autodesk_exports.autodesk.expected import Fields
    from tap_autodesk_exports.autodesk.findings import Finding
    from tap_autodesk_exports.autodesk.http import ApiContext
    from tap_autodesk_exports.loading.dataset import Dataset, Source
    from tap_autodesk_exports.loading.listing import Listing
    from tap_autodesk_exports.settings import Settings

    CatalogSchemas = Callable[[], Mapping[str, Mapping[str, Any]]]
    """Called where they are needed: name of a stream in a catalog -> its JSON schema."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One API.

    Attributes:
        listings: What it answers at once.
        datasets: Takes the settings and what gives the schemas of the user's catalog (None for
            discovery); returns what it exports.
        source: Makes its part of a run.
        check: Tries what a run needs, without requesting an export.
        expected: Endpoint -> the fields that it is expected to answer.
        optional_columns: Name of a dataset -> columns that its file may lack.
    """

    listings: Sequence[Listing]
    datasets: Callable[[Settings, CatalogSchemas | None], Iterable[Dataset]]
    source: Callable[[RunContext], Source]
    check: Callable[[ApiContext, Settings], Iterator[Finding]]
    expected: Mapping[str, Fields]
    optional_columns: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)


def _insights(settings: Settings, schemas: CatalogSchemas | None) -> Iterable[Dataset]:  # noqa: ARG001
    return insights_datasets.DATASETS


def _tokenflex(settings: Settings, schemas: CatalogSchemas | None) -> Iterable[Dataset]:  # noqa: ARG001
    yield from tokenflex_datasets.DATASETS
    yield from (tokenflex_datasets.own_dataset(export) for export in settings.tokenflex_exports)


SOURCES: Mapping[Api, Entry] = {
    Api.INSIGHTS: Entry(
        insights_listings.LISTINGS,
        _insights,
        InsightsSource,
        insights_checks.check,
        insights_expected.EXPECTED,
        insights_expected.OPTIONAL_COLUMNS,
    ),
    Api.TOKENFLEX: Entry(
        tokenflex_listings.LISTINGS,
        _tokenflex,
        TokenFlexSource,
        tokenflex_checks.check,
        tokenflex_expected.EXPECTED,
    ),
    Api.DATA_CONNECTOR: Entry(
        data_connector_listings.LISTINGS,
        catalog.datasets,
        DataConnectorSource,
        data_connector_checks.check,
        data_connector_expected.EXPECTED,
    ),
}


def known(config: Mapping[str, Any]) -> Known:
    """Return what the settings are checked against: service groups, names of streams.

    Args:
        config: The settings as they were given.
    """
    groups = None
    named = config.get("data_connector_service_groups")
    if named and config.get("data_connector_schema") != "live":
        groups = {table["service_group"] for table in bundled().values()}
    tokenflex = SOURCES[Api.TOKENFLEX].listings
    names = [listing.name for listing in tokenflex]
    return Known(groups=groups, streams=[*names, *(d.name for d in tokenflex_datasets.DATASETS)])
