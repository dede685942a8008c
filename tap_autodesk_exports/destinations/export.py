"""One export: the selected streams, one after another, into a destination."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.destinations import pieces
from tap_autodesk_exports.destinations.destination import DestinationError
from tap_autodesk_exports.destinations.layout import STYLES, Layout, column_names
from tap_autodesk_exports.destinations.sink import TableSink
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.loading.bookmarks import DictStates
from tap_autodesk_exports.loading.dataset import Selected
from tap_autodesk_exports.loading.listing import Listing
from tap_autodesk_exports.loading.personal import hashed_schema, hashing_of
from tap_autodesk_exports.loading.restart import forget, note_rows
from tap_autodesk_exports.tables.layout import type_of
from tap_autodesk_exports.tables.numbers import DECIMAL, ParquetNumbers
from tap_autodesk_exports.tables.types import Column, Type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tap_autodesk_exports.destinations.destination import Destination
    from tap_autodesk_exports.destinations.state import KeptState
    from tap_autodesk_exports.loading.dataset import Dataset
    from tap_autodesk_exports.loading.report import StreamReport
    from tap_autodesk_exports.session import Session
    from tap_autodesk_exports.settings import Settings


logger = logging.getLogger("tap-autodesk-exports")


def all_streams(settings: Settings) -> list[Dataset | Listing]:
    """Return the streams of the APIs of the settings, in the tap's order."""
    found: list[Dataset | Listing] = []
    for api in settings.apis:
        found += [*SOURCES[api].listings, *SOURCES[api].datasets(settings, None)]
    return found


def chosen(
    streams: Sequence[Dataset | Listing], patterns: Sequence[str]
) -> list[Dataset | Listing]:
    """Return the streams that are wanted, in their order.

    Args:
        streams: All streams.
        patterns: Names and patterns such as `insights_*`; none: what the tap selects by default.

    Raises:
        ConfigurationError: A pattern matches no stream.
    """
    if not patterns:
        return [s for s in streams if isinstance(s, Listing) or s.selected_by_default]
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(each.name, pattern) for each in streams):
            msg = (
                f"No stream is called '{pattern}': the APIs of the settings have "
                f"{', '.join(s.name for s in streams[:5])} and {max(len(streams) - 5, 0)} more; "
                "docs/streams.md lists them."
            )
            raise ConfigurationError(msg)
    return [s for s in streams if any(fnmatch.fnmatchcase(s.name, each) for each in patterns)]


def columns_of(streams: Sequence[Dataset | Listing]) -> dict[str, list[str]]:
    """Return name of a stream -> its columns."""
    return {
        stream.name: [*stream.schema["properties"]]
        if isinstance(stream, Listing)
        else [*stream.constants, *stream.columns]
        for stream in streams
    }


def _may_change(column: str, own: str) -> bool:
    return column != own or any(style(column) != own for style in STYLES.values())


class Wishes(Protocol):
    """How streams are loaded."""

    @property
    def style(self) -> str:
        """A name of `STYLES`."""

    @property
    def full_refresh(self) -> bool:
        """Whether all is loaded again."""


class Export:
    """The streams of one run.

    Args:
        streams: What is loaded, in order.
        destination: Where to; it is open when the first stream is loaded.
        state: What is loaded already.
        session: Of this run.
        wishes: How columns are named, and whether all is loaded again.
    """

    def __init__(
        self,
        streams: Sequence[Dataset | Listing],
        destination: Destination,
        state: KeptState,
        session: Session,
        wishes: Wishes,
    ) -> None:
        self._streams = streams
        self._destination = destination
        self._state = state
        self._session = session
        self._style = STYLES[wishes.style]
        self._full_refresh = wishes.full_refresh
        session.selected = self.selected
        session.pending = state.exports

    @functools.cached_property
    def _numbers(self) -> ParquetNumbers:
        text = self._session.settings.parquet_numbers
        return ParquetNumbers.parse(text) if text else DECIMAL

    # What is loaded

    @functools.cached_property
    def _tables(self) -> dict[str, tuple[Selected, Layout] | TapError]:
        """Name of a dataset -> how it is loaded, or why it cannot be."""
        found: dict[str, tuple[Selected, Layout] | TapError] = {}
        for stream in self._streams:
            if not isinstance(stream, Listing):
                try:
                    found[stream.name] = self._prepared(stream)
                except TapError as error:
                    found[stream.name] = error
        return found

    def selected(self) -> list[Selected]:
        """Return the datasets that can be loaded."""
        return [each[0] for each in self._tables.values() if not isinstance(each, TapError)]

    def _prepared(self, dataset: Dataset) -> tuple[Selected, Layout]:
        """Return a dataset as it is loaded: snapshots remove the rows that are gone.

        Where its table has another type for a column, cells are read as that type, so that what
        does not fit is kept in `_rescued_data`.
        """
        settings = self._session.settings
        if settings.time_columns != "time":
            columns = {
                name: Type.TIME_TEXT if type_ is Type.TIME else type_
                for name, type_ in dataset.columns.items()
            }
            dataset = dataclasses.replace(dataset, columns=columns)
        hashing = hashing_of(dataset.name, settings, dataset.is_personal)
        bookmark = self._state.of(dataset.name)
        selected = Selected.whole(dataset, DictStates(bookmark), hashing)
        schema = dataclasses.replace(
            selected.schema, numbers=self._destination.numbers(self._numbers)
        )
        types = {
            each.name: Type.STRING if schema.is_hashed(each.name) else each.type
            for each in schema.emitted
        }
        layout = self._layout(dataset.name, types, dataset.primary_keys)
        others = self._other_types(layout, {name for name in types if schema.is_hashed(name)})
        schema = dataclasses.replace(
            schema,
            columns=tuple(Column(c.name, others.get(c.name, c.type)) for c in schema.columns),
            constants={
                name: (others.get(name, type_), text)
                for name, (type_, text) in schema.constants.items()
            },
        )
        layout = dataclasses.replace(layout, columns={**layout.columns, **others})
        is_snapshot = not selected.bookmarks.replication.is_dated
        selected = dataclasses.replace(
            selected, schema=schema, has_versions=is_snapshot, may_replace=True
        )
        if self._full_refresh:
            note_rows(selected.bookmarks)
            forget(bookmark)
            version = time.time_ns() // 1_000_000
            selected.bookmarks.restart(version, selected.identity.mark_of_any())
        return selected, layout

    def _layout(
        self,
        name: str,
        columns: Mapping[str, Type],
        key: Sequence[str],
        lists: frozenset[str] = frozenset(),
    ) -> Layout:
        names = column_names(
            columns,
            self._style,
            longest=self._destination.longest_name,
            before=self._state.names.get(name, {}),
            existing=self._destination.existing(name, {}, self._numbers),
        )
        # Those too that another style would change: a column that is there keeps its name.
        if named := {column: own for column, own in names.items() if _may_change(column, own)}:
            self._state.names[name] = {**self._state.names.get(name, {}), **named}
        own_key = tuple(names[column] for column in key)
        return Layout(name, columns, names, own_key, lists, self._numbers)

    def _other_types(
        self, layout: Layout, hashed: Collection[str] = frozenset()
    ) -> dict[str, Type]:
        """Return the columns to which the destination's table gives another type.

        Raises:
            DestinationError: A column of a table cannot hold hashes. A file is written whole.
        """
        existing = self._destination.existing(layout.stream, layout.types, self._numbers)
        others = {
            name: existing[own]
            for name, own in layout.names.items()
            if existing.get(own, layout.columns[name]) is not layout.columns[name]
        }
        for name, type_ in others.items():
            if name in hashed and not self._destination.holds_loads:
                msg = (
                    f"Column '{name}' of its table in {self._destination.title} is {type_.value}, "
                    "and hashes are text: nothing is altered in place, so rename the table, and "
                    "all of it is loaded again, or leave the column out of 'hash_columns'."
                )
                raise DestinationError(msg)
            logger.warning(
                "%s: column '%s' is %s in the catalog, and its table in %s has it as %s: values "
                "that do not fit are kept in _rescued_data.",
                layout.stream,
                name,
                layout.columns[name].value,
                self._destination.title,
                type_.value,
            )
        return others

    # Loading

    def run(self) -> None:
        """Load each stream, those first whose exports are ready; one that fails stops no other."""
        waiting = {stream.name: stream for stream in self._streams}
        while waiting:
            stream = waiting.pop(self._session.next_of([*waiting]))
            with self._session.isolated(stream.name) as report:
                self._session.check_stopped()
                if isinstance(stream, Listing):
                    self._load_listing(stream, report)
                else:
                    self._load_dataset(stream.name, report)

    def _load_dataset(self, name: str, report: StreamReport) -> None:
        self._session.begin()
        found = self._tables[name]
        if isinstance(found, TapError):
            raise found
        selected, layout = found
        sink = TableSink(
            selected,
            self._destination.store(layout),
            layout,
            self._state,
            self._session,
            report,
            at_end=self._destination.holds_loads,
        )
        try:
            for _ in self._session.loader(name, sink).load():
                pass
        finally:
            sink.finish()

    def _load_listing(self, listing: Listing, report: StreamReport) -> None:
        """Load a list; where some of it could not be read, rows that are gone are not removed."""
        session = self._session
        run = session.begin()
        run.sign_in.check(Api(listing.api))
        hashing = hashing_of(listing.name, session.settings, listing.is_personal)
        properties = hashed_schema(listing.schema, hashing)["properties"]
        lists = frozenset(name for name, each in properties.items() if "array" in each["type"])
        types = {name: type_of(each) for name, each in properties.items()}
        layout = self._layout(listing.name, types, listing.primary_keys, lists)
        if others := self._other_types(layout):
            msg = f"The table has columns of other types ({', '.join(others)}): remove it."
            raise TapError(msg)
        report.is_changed = True
        is_whole = True

        def records() -> Iterator[dict[str, Any]]:
            nonlocal is_whole
            for record in listing.records(run.source(listing.api), hashing):
                if isinstance(record, TapError):
                    is_whole = False
                    session.fail(listing.name, record)
                else:
                    yield record

        with tempfile.TemporaryDirectory(dir=run.workspace.path) as folder:
            numbers = self._destination.numbers(self._numbers)
            files, report.rows = pieces.of_records(
                records(), layout, numbers, run.engine, Path(folder)
            )
            store = self._destination.store(layout)
            with session.report.stopwatch.write():
                batch = store.stage(files)
                with self._state.lock:
                    store.commit([batch], self._state.proposed(), gone=is_whole)
                    self._state.accept()
