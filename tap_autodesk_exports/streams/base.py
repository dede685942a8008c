"""What all streams have in common, and the private names of the Singer SDK that they need.

A stream that fails is reported and stops nothing else. An exported stream names the exports that
it needs before any stream is synced; then, export by export, it waits for the file, turns it into
a table, writes the table's rows, and only then moves its bookmark.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import zlib
from decimal import Decimal
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, cast
from uuid import uuid4

from singer_sdk import Stream
from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException
from singer_sdk.helpers._batch import SDKBatchMessage
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import Schema, StateMessage
from typing_extensions import override

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import ConfigurationError, Stopped, TapError
from tap_autodesk_exports.exports.export import NotFinished
from tap_autodesk_exports.report import Outcome
from tap_autodesk_exports.streams.personal import hashed_schema, hashing_of
from tap_autodesk_exports.tables.batches import Encoding
from tap_autodesk_exports.tables.errors import FileError
from tap_autodesk_exports.tables.layout import Layout
from tap_autodesk_exports.tables.table import Table
from tap_autodesk_exports.tables.types import Column, Type, json_schema
from tap_autodesk_exports.workspace import full_disk_told

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from singer_sdk.helpers import types
    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.singerlib import Catalog

    from tap_autodesk_exports.exports.export import ExportSpec, Finished
    from tap_autodesk_exports.report import StreamReport
    from tap_autodesk_exports.run import Run
    from tap_autodesk_exports.settings import Api
    from tap_autodesk_exports.tables.hashing import Hashing
    from tap_autodesk_exports.tap import TapAutodeskExports

    Emit = Callable[[Table, "After"], Iterable["Record"]]

Record = dict[str, Any]
After = tuple[str, str] | None
"""A column and the bound from which rows are sent; None for all."""

SENT_ALONE = "version_is_open"
"""Marks a bookmark whose rows were sent, and ACTIVATE_VERSION was not, as other rows failed."""

PROVENANCE: dict[str, dict[str, Any]] = {
    "_export_id": {"type": ["string"]},
    "_exported_at": {"type": ["string"], "format": "date-time"},
    "_rescued_data": {"type": ["object", "null"], "additionalProperties": True},
    "_row_id": {"type": ["string"]},
}
"""The columns that every exported row carries besides those of its file."""


class TapStream(Stream):
    """A stream of this tap: fails alone, and says so."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    api: Api
    """Whose data the stream holds."""
    _hashing: Hashing | None
    _report: StreamReport

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take the catalog; its `table-key-properties` prevail, as only a user changes them.

        Key and hashed columns are written back to the catalog, which the SDK's maps are made from.
        """
        if entry := catalog.get_stream(self.name):
            chosen = getattr(entry.metadata.get(()), "table_key_properties", None)
            if chosen and tuple(chosen) != tuple(self.primary_keys):
                entry.key_properties = chosen
            hashed = hashed_schema(entry.schema.to_dict(), self._hashing)
            entry.schema = Schema.from_dict(hashed)
        super().apply_catalog(catalog)

    @property
    def tap(self) -> TapAutodeskExports:
        """The tap, as what it is."""
        return cast("TapAutodeskExports", self._tap)

    @property
    def run(self) -> Run:
        """What this run of the tap shares."""
        return self.tap.run

    @property
    def is_dry_run(self) -> bool:
        """Whether the tap is being tested, with a limit on records."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @override
    def _sync_records(
        self, context: types.Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, Any, Any]:
        """Write the stream's messages; a failure ends the stream and not the run."""
        yield from self._alone(lambda: self._records(context, write_messages=write_messages))

    @override
    def _sync_batches(
        self, batch_config: BatchConfig, context: types.Context | None = None
    ) -> None:
        """Write BATCH messages where the stream can, else records."""
        for _ in self._alone(lambda: self._batches(batch_config, context)):
            pass

    def _batches(
        self,
        batch_config: BatchConfig,  # noqa: ARG002
        context: types.Context | None,
    ) -> Iterable[Record]:
        return self._records(context, write_messages=True)

    def _alone(self, sync: Callable[[], Iterable[Record]]) -> Generator[Record, Any, Any]:
        with self.tap.report.of(self.name) as self._report:
            if self.tap.stop.is_set():
                self._tell(Stopped())
                return
            try:
                self.run.sign_in.check(self.api)
                self.tap.begin_exports()
                yield from sync()
            except (AbortedSyncFailedException, AbortedSyncPausedException):
                raise
            except TapError as error:
                self._tell(error)
            except Exception as error:
                self.logger.exception("A defect of this tap, or something that it did not expect")
                self._tell(TapError(f"Stopped by {type(error).__name__}; the log has the details."))

    def _records(self, context: types.Context | None, *, write_messages: bool) -> Iterable[Record]:
        for record in super()._sync_records(context, write_messages=write_messages):
            self._report.rows += 1
            yield record

    def _tell(self, error: TapError) -> None:
        pending = isinstance(error, (NotFinished, Stopped))
        outcome = Outcome.PENDING if pending else Outcome.FAILED
        self.tap.report.tell(self.name, outcome, str(error))

    @override
    def _increment_stream_state(
        self, latest_record: types.Record, *, context: types.Context | None = None
    ) -> None:
        """Leave the bookmark alone: it moves when a whole export is loaded, not by the record."""

    @override
    def _write_starting_replication_value(self, context: types.Context | None) -> None:
        """Nothing: where a window begins is worked out from bookmark, look-back and settings."""

    @override
    def _write_state_message(self) -> None:
        self._tap.write_message(StateMessage(self.tap_state))

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Write the state; there are no progress markers to finalize."""
        self._write_state_message()

    @override
    def get_replication_key_signpost(self, context: types.Context | None = None) -> None:
        """No signpost: bookmarks are ends of windows."""
        return

    @property
    @override
    def emit_activate_version_messages(self) -> bool:
        """False, because the SDK activates a version before its rows are there."""
        return False

    @property
    def _versions(self) -> bool:
        """Whether the user wants ACTIVATE_VERSION messages, and the stream is one to have them."""
        return self.replication_method == "FULL_TABLE" and bool(
            self.config.get("emit_activate_version_messages")
        )

    def _begin_version(self) -> None:
        if self._versions:
            self._stream_version = self._initialized_at

    def _activate_version(self) -> None:
        """Tell the target that all rows of the new version are there."""
        if self._stream_version is not None:
            self._write_activate_version_message(self._stream_version)


@dataclasses.dataclass(frozen=True)
class Load:
    """An export that a stream needs.

    Attributes:
        spec: The export.
        partition: Context of the bookmark that it moves; empty for the stream's own.
        error: Why it cannot be had, where that is known before it is asked for.
    """

    spec: ExportSpec
    partition: Mapping[str, str] = dataclasses.field(default_factory=dict)
    error: TapError | None = None


class ExportStream(TapStream, abc.ABC):
    """A stream whose rows come out of files of exports."""

    natural_key: Sequence[str] = ()
    """Columns that tell rows apart, hashed into `_row_id`; none: all of the catalog's."""
    copies: Mapping[str, str] = MappingProxyType({})
    """Columns that are in no file and repeat another one: name -> name of that one."""
    newest: str | None = None
    """Column that tells versions of a row apart, where a file may hold several."""
    is_dated = False
    """Whether exports are asked for by date, so that the bookmark is the end of a window."""
    constants: Sequence[str] = ()
    """Columns that are not in the file, with one value for each export."""
    remedy = "A newer release of this tap may know them."
    """What to do about columns that the catalog does not know."""
    rename: Callable[[str], str] = staticmethod(str)
    """Header of a file -> name of a column."""

    def __init__(
        self, tap: TapAutodeskExports, schema: Mapping[str, Any], name: str | None = None
    ) -> None:
        self._hashing = hashing_of(name or self.name, tap.settings)
        self._told: dict[str, set[str]] = {"unknown": set(), "missing": set()}
        self._properties: Mapping[str, Any] = schema["properties"]
        super().__init__(tap, schema=hashed_schema(schema, self._hashing), name=name)

    @abc.abstractmethod
    def plan(self) -> list[Load]:
        """Name the exports that this run needs, oldest window first.

        Raises:
            TapError: What must be known for it cannot be found out.
        """

    @abc.abstractmethod
    def fetch(self, finished: Finished, folder: Path) -> Path | None:
        """Fetch the stream's file of a finished export; None where there is nothing to load.

        Raises:
            TapError: It could not be fetched whole.
        """

    def constant_values(self, finished: Finished) -> Mapping[str, str | None]:  # noqa: ARG002
        """Return the values of `constants` for the rows of an export."""
        return {}

    def damaged(self, finished: Finished) -> None:
        """Give up what was kept of the stream's file, because it is to be fetched once more."""

    def remember(self, load: Load, finished: Finished, state: dict[str, Any]) -> None:
        """Note in a bookmark what the next run must know besides; called when a load is over."""

    def done_with(self, finished: Finished) -> None:
        """Give up what was kept of an export; called once for each load, also after a failure."""

    @property
    @override
    def _versions(self) -> bool:
        """Not for what is read by date: a run does not have all rows, so none is to be removed."""
        return super()._versions and not self.is_dated

    # The loads, one after another

    @override
    def get_records(self, context: types.Context | None) -> Iterable[Record]:
        return self._load_all(lambda table, after: table.records(self._selected(), after=after))

    @override
    def _records(self, context: types.Context | None, *, write_messages: bool) -> Iterable[Record]:
        if self._takes_plain_road or not write_messages:
            return super()._records(context, write_messages=write_messages)
        return self._load_all(self._write_lines)

    @override
    def _batches(
        self, batch_config: BatchConfig, context: types.Context | None
    ) -> Iterable[Record]:
        if self._takes_plain_road:
            return self._records(context, write_messages=True)
        return self._load_all(functools.partial(self._write_batches, batch_config))

    @property
    def _takes_plain_road(self) -> bool:
        """Whether each record must pass through the SDK: for its maps, or to be counted."""
        maps = self.stream_maps
        unmapped = (
            len(maps) == 1
            and type(maps[0]) is SameRecordTransform
            and not maps[0].flattening_enabled
        )
        return self.is_dry_run or not unmapped

    def _write_lines(self, table: Table, after: After) -> Iterable[Record]:
        with self.get_record_counter() as counter:
            for lines in table.lines(
                self.name,
                self._selected(),
                version=self._stream_version,
                time_extracted=canonical(self.run.clock.now()),
                after=after,
            ):
                self.tap.output.write_lines(lines)
                rows = lines.count(b"\n")
                counter.increment(rows)
                self._report.rows += rows
                if self.tap.stop.is_set():
                    raise Stopped
        return ()

    def _write_batches(self, config: BatchConfig, table: Table, after: After) -> Iterable[Record]:
        """Write the rows to files of the storage, and a BATCH message for each."""
        encoding = batch_encoding(config)
        storage, rows = config.storage, config.batch_size
        name = f"{storage.prefix or ''}{self.tap_name}--{self.name}-{uuid4()}"
        suffix = encoding.value.replace("+gzip", ".gz")

        def create(number: int) -> AbstractContextManager[IO[bytes]]:
            return storage.open(f"{name}-{number}.{suffix}", "wb")

        with self.get_batch_counter() as counter:
            for number in table.batches(
                create, self._selected(), encoding=encoding, rows_per_file=rows, after=after
            ):
                url = storage.get_url(f"{name}-{number}.{suffix}")
                self._tap.write_message(
                    SDKBatchMessage(self.name, config.encoding, [url], self._stream_version)
                )
                self._write_state_message()
                counter.increment()
                if self.tap.stop.is_set():
                    raise Stopped
        self._report.rows += table.count()
        return ()

    def _load_all(self, emit: Emit) -> Iterator[Record]:
        """Load each export; after a failure, nothing more of the same partition."""
        loads = self.tap.loads_of(self)
        self._check_replication_key()
        self._tell_earlier_start()
        self._begin_version()
        whole = self._versions and self._needs_version(loads)
        ended: list[Mapping[str, str]] = []
        for load in loads:
            if load.partition in ended:
                continue
            try:
                yield from self._load(load, emit, whole=whole)
                if self._ends_early(load):
                    ended.append(load.partition)
            except TapError as error:
                ended.append(load.partition)
                self._tell(error)
                self.tap.give_up(load, error)
        if whole and not ended:
            self._activate_version()
            for load in loads:
                # Not taken out: where Meltano merges two states, it would come back.
                self.get_context_state(load.partition)[SENT_ALONE] = False
            self._write_state_message()

    def _needs_version(self, loads: Iterable[Load]) -> bool:
        """Whether a new version of the table is due, and rows of every partition can be had.

        It replaces the whole table, so it needs the rows of all, also of those that are unchanged.
        """
        try:
            due = [
                not self._is_loaded(load, self._finished(load))
                or self.get_context_state(load.partition).get(SENT_ALONE)
                for load in loads
            ]
        except TapError:
            self.logger.info("Not everything can be had, so rows that are gone are not removed.")
            return False
        return any(due)

    def _ends_early(self, load: Load) -> bool:
        """Whether an export of an earlier run was taken up whose window ends before the planned.

        The bookmark must not pass over the days between: the next run begins with them.
        """
        end = self._finished(load).asked.spec.end
        early = self.is_dated and bool(end and load.spec.end and end < load.spec.end)
        if early:
            self.logger.info("Loaded up to %s; the next run goes on from there.", end)
        return early

    def _load(self, load: Load, emit: Emit, *, whole: bool) -> Iterator[Record]:
        finished = self._finished(load)
        newest = None
        try:
            if not whole and self._is_loaded(load, finished):
                self.logger.info(
                    "Export %s was loaded before; nothing is sent again.", finished.export_id
                )
            else:
                if self._versions:
                    self.get_context_state(load.partition)[SENT_ALONE] = True
                newest = yield from self._emit(load, finished, emit)
        finally:
            self.done_with(finished)
        self._loaded(load, finished, newest)

    def _emit(
        self, load: Load, finished: Finished, emit: Emit
    ) -> Generator[Record, Any, str | None]:
        """Send the rows of an export; return the replication key's greatest value, if it counts."""
        try:
            return (yield from self._emit_file(load, finished, emit))
        except FileError as error:
            # No row of it was sent: a file is read to its end before the first one goes out.
            self.logger.warning("%s It is fetched once more.", error)
            self.tap.ahead.settle()
            self.damaged(finished)
            return (yield from self._emit_file(load, finished, emit))

    def _emit_file(
        self, load: Load, finished: Finished, emit: Emit
    ) -> Generator[Record, Any, str | None]:
        fetch = functools.partial(self.fetch, finished)
        with full_disk_told(), self.tap.ahead.file(self._key(finished), fetch) as path:
            self.tap.fetch_ahead(self, load)
            if path is None:
                return None
            with self._table(path, finished) as table:
                self._tell_differences(table, path.name)
                if not self._is_filtered:
                    yield from emit(table, None)
                    return None
                key = str(self.replication_key)
                bound = self._bound(load.partition)
                yield from emit(table, (key, bound) if bound else None)
                return table.maximum(key)

    def fetch_ahead(self, load: Load) -> bool:
        """Begin to fetch the file of a load that comes next, if it is ready and will be needed.

        Returns:
            Whether it is the one to be fetched; not where its rows were sent before.
        """
        # A new version of a table is sent whole, where any part of it is new.
        others = self.tap.loads_of(self) if self._versions else [load]
        if all(self._was_sent(other) for other in others):
            return False
        if finished := self._ready(load):
            fetch = functools.partial(self.fetch, finished)
            self.tap.ahead.begin(self._key(finished), fetch)
        return True

    def _ready(self, load: Load) -> Finished | None:
        return None if load.error else self.run.runner.ready(load.spec)

    def _was_sent(self, load: Load) -> bool:
        finished = self._ready(load)
        return finished is not None and self._is_loaded(load, finished)

    def _key(self, finished: Finished) -> str:
        return f"{self.name} {finished.export_id}"

    @property
    def _is_filtered(self) -> bool:
        """Whether the catalog asks for only those rows of a snapshot that are newer."""
        return self.replication_method == "INCREMENTAL" and not self.is_dated

    def _check_replication_key(self) -> None:
        properties = self.effective_schema["properties"]
        if self._is_filtered and self.replication_key not in properties:
            msg = (
                "The catalog asks for INCREMENTAL replication with the replication key "
                f"'{self.replication_key or ''}', which is no column of this stream: choose one, "
                "such as 'updated_at' where there is one, or FULL_TABLE."
            )
            raise ConfigurationError(msg)
        if self._is_filtered and self._hashing and self._hashing.applies(str(self.replication_key)):
            msg = (
                f"'hash_columns' hides the column '{self.replication_key}', whose greatest value "
                "the bookmark would show: leave it out, or choose another replication key."
            )
            raise ConfigurationError(msg)

    def _bound(self, partition: Mapping[str, str]) -> str | None:
        """Return the bookmark of the replication key; None where it is that of another one."""
        state = self.get_context_state(partition)
        value: str | None = state.get("replication_key_value")
        return value if state.get("replication_key") == self.replication_key else None

    def _tell_earlier_start(self) -> None:
        """Say that a start date has no effect behind which a stream has begun already."""
        start = self.run.settings.start_date
        if not (self.is_dated and start):
            return
        states = self.stream_state.get("partitions") or [self.stream_state]
        begun = min((state["start"] for state in states if "start" in state), default=None)
        if begun and canonical(start) < begun:
            self.logger.warning(
                "Setting 'start_date' (%s) was later when this stream began, at %s, and what lies "
                "before that is not asked for. To have it, run once without the stream's state, "
                "such as by `meltano run --full-refresh`.",
                f"{start:%Y-%m-%d}",
                begun[:10],
            )

    def _finished(self, load: Load) -> Finished:
        if load.error:
            raise load.error
        return self.run.runner.result(load.spec)

    def _is_loaded(self, load: Load, finished: Finished) -> bool:
        """Whether the rows of this very export were sent before, with the same columns."""
        state = self.get_context_state(load.partition)
        return (
            state.get("replication_key")
            in {None, self.replication_key if self._is_filtered else None}
            and state.get("export_id") == finished.export_id
            and state.get("columns") == self._selection()
        )

    def _table(self, path: Path, finished: Finished) -> Table:
        properties = self.effective_schema["properties"]
        values = self.constant_values(finished)
        own = {*self.constants, *PROVENANCE}
        layout = Layout(
            columns=tuple(self._column(name) for name in properties if name not in own),
            key=tuple(self.primary_keys if self._has_key else self.natural_key),
            constants={
                name: (type_of(properties[name]), values.get(name)) for name in self.constants
            },
            rename=self.rename,
            unique=self._has_key,
            newest=self.newest,
            copies={copy: name for copy, name in self.copies.items() if copy in properties},
            hashing=self._hashing,
        )
        return Table(
            path,
            layout,
            export_id=finished.export_id,
            exported_at=finished.exported_at,
            engine=self.run.engine,
        )

    def _column(self, name: str) -> Column:
        """Return a column with the type that its cells have; the catalog shows a hash as text."""
        hashed = self._hashing and self._hashing.applies(name)
        schema = self.effective_schema["properties"][name]
        return Column(name, type_of(self._properties.get(name, schema) if hashed else schema))

    @property
    def _has_key(self) -> bool:
        """Whether the stream's key is columns of its own, and not the ID that any row can have."""
        return bool(self.primary_keys) and "_row_id" not in self.primary_keys

    def _tell_differences(self, table: Table, file: str) -> None:
        unknown = [name for name in table.unknown if name not in self._told["unknown"]]
        missing = [name for name in table.missing if name not in self._told["missing"]]
        self._told["unknown"].update(unknown)
        self._told["missing"].update(missing)
        if unknown:
            self.logger.warning(
                "Columns of '%s' that the catalog does not know are kept in _rescued_data: %s. %s",
                file,
                ", ".join(unknown),
                self.remedy,
            )
        if missing:
            self.logger.info("Not in '%s', so null: %s.", file, ", ".join(missing))

    def _selected(self) -> list[str]:
        """Return the selected columns, in the catalog's order."""
        return [
            name for name in self.effective_schema["properties"] if self.mask["properties", name]
        ]

    def _selection(self) -> str:
        """Return a short mark of the selected columns, of those hashed and of the hashes' key."""
        selected = self._selected()
        names = " ".join(selected)
        hashing = self._hashing
        if hashing and (hashed := [name for name in selected if hashing.applies(name)]):
            names += f" {hashing.of(' '.join(hashed))}"
        return f"{zlib.crc32(names.encode()):08x}"

    # Bookmarks

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Nothing: each load has written the state that it left."""

    def bookmark(self, partition: Mapping[str, str]) -> dt.datetime | None:
        """Return the instant up to which a partition is loaded; None where all is asked for."""
        if self.replication_method != "INCREMENTAL":
            return None
        return instant(self.get_context_state(partition).get("replication_key_value"))

    def _loaded(self, load: Load, finished: Finished, newest: str | None = None) -> None:
        """Move the bookmark and forget the pending export, in one STATE message."""
        with self.run.ledger.lock:
            state = self.get_context_state(load.partition)
            spec = finished.asked.spec
            before, end = self._bound(load.partition), newest if self._is_filtered else spec.end
            if self.is_dated and spec.start and (not before or spec.start < state.get("start", "")):
                state["start"] = spec.start
            if self.replication_method == "INCREMENTAL" and end:
                state["replication_key"] = self.replication_key
                state["replication_key_value"] = self._later(before, end) if before else end
            if not self.is_dated:
                state["export_id"] = finished.export_id
                state["columns"] = self._selection()
                if not self._is_filtered:
                    # Rows of a whole snapshot came; a bookmark from before means nothing now.
                    state.pop("replication_key", None)
                    state.pop("replication_key_value", None)
            self.remember(load, finished, state)
            self.tap.settle(load)
            self._write_state_message()

    def _later(self, one: str, other: str) -> str:
        """Return the greater of two values of the replication key."""
        schema = self.effective_schema["properties"].get(str(self.replication_key), {})
        return max(one, other, key=Decimal if type_of(schema) is Type.NUMBER else None)


def batch_encoding(config: BatchConfig) -> Encoding:
    """Return what a batch configuration asks for.

    Raises:
        ConfigurationError: It is something that this tap does not write.
    """
    asked = (config.encoding.format, config.encoding.compression or "none")
    found = {
        ("jsonl", "none"): Encoding.JSONL,
        ("jsonl", "gzip"): Encoding.JSONL_GZIP,
        ("parquet", "none"): Encoding.PARQUET,
        ("parquet", "zstd"): Encoding.PARQUET,
    }.get(asked)
    if found is None:
        msg = (
            f"Setting 'batch_config' asks for {asked[0]} with compression '{asked[1]}': choose "
            "jsonl with 'gzip' or 'none', or parquet without one."
        )
        raise ConfigurationError(msg)
    return found


def type_of(schema: Mapping[str, Any]) -> Type:
    """Return the type that a column's JSON schema asks for; text where it asks for none of ours."""
    names = schema.get("type", "string")
    names = {names} if isinstance(names, str) else set(names)
    if names & {"number", "integer"}:
        return Type.NUMBER
    if "boolean" in names:
        return Type.BOOLEAN
    formats = {"date": Type.DATE, "time": Type.TIME, "date-time": Type.TIMESTAMP}
    return formats.get(str(schema.get("format")), Type.STRING)


def export_schema(
    columns: Mapping[str, Type], constants: Mapping[str, Type] | None = None
) -> dict[str, Any]:
    """Return the schema of an exported stream.

    Args:
        columns: Columns of the file.
        constants: Columns that are the same for all rows of an export.
    """
    properties: dict[str, Any] = {
        name: json_schema(type_) for name, type_ in {**(constants or {}), **columns}.items()
    }
    return {"type": "object", "properties": properties | PROVENANCE}
