"""Every stream as the data dictionary shows it, from the declarations that the tap runs on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import TITLES, Api
from tap_autodesk_exports.autodesk.data_connector.catalog import TableDataset
from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_autodesk_exports.loading.dataset import Dataset
    from tap_autodesk_exports.loading.listing import Listing

REFERENCES: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).resolve().parents[2] / "docs/references.json").read_text(encoding="utf-8")
)
"""Stream -> column -> `stream.column` that it points at. Data Connector: from the notes of the
published schema, with their short names completed (documented; a few columns inferred). The others
are inferred."""


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stream.

    Attributes:
        name: Its name.
        page: Page of the dictionary: `insights`, `tokenflex`, `data_connector` or a service group.
        columns: Name -> type, without those that every exported row has in addition.
        key: The primary key.
        replication: In words.
        selected: Whether it is selected by default.
        personal: The columns that hold personal data.
        exported: Whether its rows come from files of exports.
    """

    name: str
    page: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    replication: str
    selected: bool
    personal: frozenset[str]
    exported: bool

    @property
    def references(self) -> dict[str, str]:
        """The columns that point at another table: name -> `stream.column`."""
        return REFERENCES.get(self.name, {})


def streams() -> dict[str, list[Stream]]:
    """Return the streams of each page of the dictionary."""
    pages: dict[str, list[Stream]] = {api.value: [] for api in Api}
    for entry in SOURCES.values():
        found = [_listing(listing) for listing in entry.listings]
        found += [_dataset(dataset) for dataset in entry.datasets(Settings(), None)]
        for stream in found:
            pages.setdefault(stream.page, []).append(stream)
    return pages


def title(page: str) -> str:
    """Return the title of a page of the dictionary."""
    return TITLES[Api(page)] if page in set(Api) else page


def _listing(listing: Listing) -> Stream:
    properties = listing.schema["properties"]
    return Stream(
        name=listing.name,
        page=listing.api,
        columns={name: _type(schema) for name, schema in properties.items()},
        key=listing.primary_keys,
        replication="full table",
        selected=True,
        personal=frozenset(filter(listing.is_personal, properties)),
        exported=False,
    )


def _type(schema: Mapping[str, Any]) -> str:
    formats = {"date-time": "timestamp"}
    if shown := schema.get("format"):
        return formats.get(shown, shown)
    return str(schema["type"][0])


def _dataset(dataset: Dataset) -> Stream:
    columns = {**dataset.columns, **dataset.constants}
    replication = dataset.replication
    shown = f"incremental by `{replication.key}`" if replication.key else "full table"
    return Stream(
        name=dataset.name,
        page=dataset.service_group if isinstance(dataset, TableDataset) else dataset.api,
        columns={name: type_.value for name, type_ in columns.items()},
        key=dataset.primary_keys,
        replication=shown,
        selected=dataset.selected_by_default,
        personal=frozenset(filter(dataset.is_personal, columns)),
        exported=True,
    )
