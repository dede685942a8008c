"""A dataset as a Singer stream: RECORD lines, BATCH files, ACTIVATE_VERSION, and its bookmarks."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.loading.bookmarks import Bookmarks, Replication
from tap_autodesk_exports.loading.dataset import Selected
from tap_autodesk_exports.streams.batch_files import batch_encoding, new_file
from tap_autodesk_exports.streams.sdk import BatchConfig, SDKBatchMessage
from tap_autodesk_exports.streams.stream import TapStream
from tap_autodesk_exports.tables.layout import PROVENANCE, export_schema, type_of
from tap_autodesk_exports.tables.numbers import ParquetNumbers
from tap_autodesk_exports.tables.types import Column, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from singer_sdk import Tap
    from singer_sdk.helpers import types

    from tap_autodesk_exports.loading.dataset import Dataset
    from tap_autodesk_exports.loading.loader import After
    from tap_autodesk_exports.session import Session
    from tap_autodesk_exports.streams.output import Output
    from tap_autodesk_exports.streams.stream import Record
    from tap_autodesk_exports.tables.table import Table

    Send = Callable[[Table, After], Iterable[Record]]

TABLE_VERSION = "_sdc_table_version"
"""Where targets on the SDK keep the version of a row (observed: singer-sdk 0.54.9)."""


MAPPING = ("stream_maps", "flattening_enabled", "flattening_max_depth")
"""Settings of the SDK that change rows. Another one may hold a secret, and is left out."""


class DatasetStream(TapStream):
    """A dataset, and the `Sink` of its rows."""

    def __init__(self, tap: Tap, session: Session, dataset: Dataset, output: Output) -> None:
        self.dataset = dataset
        self._output = output
        self.selected_by_default = dataset.selected_by_default
        times_as_text = tap.config.get("time_columns") != "time"
        schema = export_schema(dataset.columns, dataset.constants, times_as_text=times_as_text)
        self._cell_schemas: Mapping[str, Any] = schema["properties"]
        super().__init__(tap, session, dataset, schema)
        self.replication_key = dataset.replication_key
        self._send: Send = self._as_records
        self._sends_batches = False

    # What the catalog made of the dataset

    def as_selected(self) -> Selected:
        """Return the dataset as the catalog selects it, with its bookmarks in the state."""
        properties = self.effective_schema["properties"]
        own = {*self.dataset.constants, *PROVENANCE}
        columns = tuple(self._column(name) for name in properties if name not in own)
        key = self.replication_key
        replication = Replication(
            self.replication_method,
            self.dataset.is_dated,
            key,
            type_of(properties[key]) if key in properties else None,
        )
        schema = self.dataset.table_schema(columns, tuple(self.primary_keys), self._hashing)
        if numbers := self.config.get("parquet_numbers"):
            schema = dataclasses.replace(schema, numbers=ParquetNumbers.parse(numbers))
        return Selected(
            self.dataset,
            Bookmarks(self, replication, self._selected_columns(), self._hashing, self._mapping()),
            schema,
            self.has_versions,
            may_replace=bool(self.config.get("emit_activate_version_messages")),
        )

    def _column(self, name: str) -> Column:
        """Return a column with the type that its cells have; the catalog shows a hash as text."""
        schema = self.effective_schema["properties"][name]
        if self._hashing and self._hashing.applies(name):
            schema = self._cell_schemas.get(name, schema)
        return Column(name, type_of(schema))

    def _mapping(self) -> str:
        """Return the settings of the SDK that change rows, as text; empty without any."""
        used = {name: self.config[name] for name in MAPPING if self.config.get(name)}
        return json.dumps(used, sort_keys=True, default=str) if used else ""

    def _selected_columns(self) -> list[str]:
        """Return the selected columns, in the catalog's order."""
        return [
            name for name in self.effective_schema["properties"] if self.mask["properties", name]
        ]

    @property
    @override
    def has_versions(self) -> bool:
        """Not for what is read by date: a run does not have all rows, so none can be removed."""
        return super().has_versions and not self.dataset.is_dated

    # Bookmarks in the state of the tap

    def of(self, partition: Mapping[str, str]) -> dict[str, Any]:
        """Return the bookmark of a partition, made where there is none."""
        state: dict[str, Any] = self.get_context_state(dict(partition))
        return state

    def known_partitions(self) -> Sequence[dict[str, Any]]:
        """Return the bookmarks of all partitions, each with its `context`."""
        found: Sequence[dict[str, Any]] = self.stream_state.get("partitions") or ()
        return found

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Nothing: each load has written the state that it left."""

    def state(self) -> None:
        """Write the state."""
        self._write_state_message()

    # Rows

    @override
    def get_records(self, context: types.Context | None) -> Iterable[Record]:
        return self._load(self._as_records)

    @override
    def _records(self, context: types.Context | None, *, write_messages: bool) -> Iterable[Record]:
        if self._needs_sdk_records or not write_messages:
            return super()._records(context, write_messages=write_messages)
        return self._load(self._as_lines)

    @override
    def _batches(
        self, batch_config: BatchConfig, context: types.Context | None
    ) -> Iterable[Record]:
        if self._needs_sdk_records:
            return self._records(context, write_messages=True)
        self._sends_batches = True
        return self._load(functools.partial(self._as_batches, batch_config))

    @property
    def _needs_sdk_records(self) -> bool:
        """Whether each record must pass through the SDK: for its maps, or to be counted."""
        maps = self.stream_maps
        unmapped = (
            len(maps) == 1
            and type(maps[0]) is SameRecordTransform
            and not maps[0].flattening_enabled
        )
        return self.is_dry_run or not unmapped

    def _load(self, send: Send) -> Iterable[Record]:
        self._send = send
        return self.session.loader(self.name, self).load()

    def constants(self) -> Mapping[str, tuple[Type, str | None]]:
        """Return the version of the table, where rows go into files.

        A RECORD message bears it beside the row. A target takes the rows of a BATCH file as they
        are; without a version they would be deleted as those of an older one.
        """
        if self._sends_batches and self._stream_version is not None:
            return {TABLE_VERSION: (Type.INTEGER, str(self._stream_version))}
        return {}

    def rows(self, table: Table, after: After) -> Iterable[Record]:
        """Send the rows of a table."""
        self._report.is_changed = True
        return self._send(table, after)

    def _as_records(self, table: Table, after: After) -> Iterable[Record]:
        return table.records(self._selected_columns(), after=after)

    def _as_lines(self, table: Table, after: After) -> Iterable[Record]:
        with self.get_record_counter() as counter:
            for lines in table.lines(
                self.name,
                self._selected_columns(),
                version=self._stream_version,
                time_extracted=canonical(self.session.run.clock.now()),
                after=after,
            ):
                with self.session.report.stopwatch.write():
                    self._output.write_lines(lines)
                rows = lines.count(b"\n")
                counter.increment(rows)
                self._report.rows += rows
                self.session.check_stopped()
        return ()

    def _as_batches(self, config: BatchConfig, table: Table, after: After) -> Iterable[Record]:
        """Write the rows to files of the storage, and a BATCH message for each."""
        encoding = batch_encoding(config)
        storage, rows = config.storage, config.batch_size
        name = f"{storage.prefix or ''}{self.tap_name}--{self.name}-{uuid4()}"
        suffix = encoding.value.replace("+gzip", ".gz")

        def create(number: int) -> AbstractContextManager[IO[bytes]]:
            return new_file(storage, f"{name}-{number}.{suffix}")

        with self.get_batch_counter() as counter:
            for number in table.batches(
                create,
                [*self._selected_columns(), *self.constants()],
                encoding=encoding,
                rows_per_file=rows,
                after=after,
            ):
                url = storage.get_url(f"{name}-{number}.{suffix}")
                self._tap.write_message(
                    SDKBatchMessage(self.name, config.encoding, [url], self._stream_version)
                )
                self._write_state_message()
                counter.increment()
                self.session.check_stopped()
        self._report.rows += table.count()
        return ()
