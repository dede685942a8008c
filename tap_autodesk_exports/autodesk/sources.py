"""The three APIs as a run, discovery and the doctor see them: one entry each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.data_connector import catalog
from tap_autodesk_exports.autodesk.data_connector import checks as data_connector_checks
from tap_autodesk_exports.autodesk.data_connector import listings as data_connector_listings
from tap_autodesk_exports.autodesk.data_connector.source import DataConnectorSource
from tap_autodesk_exports.autodesk.insights import checks as insights_checks
from tap_autodesk_exports.autodesk.insights import datasets as insights_datasets
from tap_autodesk_exports.autodesk.insights import listings as insights_listings
from tap_autodesk_exports.autodesk.insights.source import InsightsSource
from tap_autodesk_exports.autodesk.tokenflex import checks as tokenflex_checks
from tap_autodesk_exports.autodesk.tokenflex import datasets as tokenflex_datasets
from tap_autodesk_exports.autodesk.tokenflex import listings as tokenflex_listings
from tap_autodesk_exports.autodesk.tokenflex.source import TokenFlexSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from tap_autodesk_exports.autodesk.context import RunContext
    from tap_autodesk_exports.autodesk.findings import Finding
    from tap_autodesk_exports.autodesk.http import ApiContext
    from tap_autodesk_exports.loading.dataset import Dataset, Source
    from tap_autodesk_exports.loading.listing import Listing
    from tap_autodesk_exports.settings import Settings

    CatalogSchemas = Mapping[str, Mapping[str, Any]]
    """Name of a stream in a catalog -> its JSON schema."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One API.

    Attributes:
        listings: What it answers at once.
        datasets: Takes the settings and the user's catalog (None for discovery); returns what it
            exports.
        source: Makes its part of a run.
        check: Tries what a run needs, without requesting an export.
    """

    listings: Sequence[Listing]
    datasets: Callable[[Settings, CatalogSchemas | None], Iterable[Dataset]]
    source: Callable[[RunContext], Source]
    check: Callable[[ApiContext, Settings], Iterator[Finding]]


def _insights(settings: Settings, schemas: CatalogSchemas | None) -> Iterable[Dataset]:  # noqa: ARG001
    return insights_datasets.DATASETS


def _tokenflex(settings: Settings, schemas: CatalogSchemas | None) -> Iterable[Dataset]:  # noqa: ARG001
    yield from tokenflex_datasets.DATASETS
    yield from (tokenflex_datasets.own_dataset(export) for export in settings.tokenflex_exports)


SOURCES: Mapping[Api, Entry] = {
    Api.INSIGHTS: Entry(
        insights_listings.LISTINGS, _insights, InsightsSource, insights_checks.check
    ),
    Api.TOKENFLEX: Entry(
        tokenflex_listings.LISTINGS, _tokenflex, TokenFlexSource, tokenflex_checks.check
    ),
    Api.DATA_CONNECTOR: Entry(
        data_connector_listings.LISTINGS,
        catalog.datasets,
        DataConnectorSource,
        data_connector_checks.check,
    ),
}
