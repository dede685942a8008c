"""Streams whose files are exports.

A stream names the exports that it needs before any stream is synced; then, export by export, it
waits for the file, turns it into a table, writes the table's rows, and only then moves its
bookmark.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import zlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.streams.tabular import TabularStream
from tap_autodesk_exports.tables.layout import type_of
from tap_autodesk_exports.tables.types import Type
from tap_autodesk_exports.workspace import full_disk_told

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from tap_autodesk_exports.exports.export import ExportSpec, FinishedExport
    from tap_autodesk_exports.streams.base import Record
    from tap_autodesk_exports.streams.tabular import Emit

SENT_ALONE = "version_is_open"
"""Marks a bookmark whose rows were sent, and ACTIVATE_VERSION was not, as other rows failed."""


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


class ExportStream(TabularStream, abc.ABC):
    """A stream whose rows come out of files of exports."""

    is_dated = False
    """Whether exports are asked for by date, so that the bookmark is the end of a window."""

    @abc.abstractmethod
    def plan(self) -> list[Load]:
        """Name the exports that this run needs, oldest window first.

        Raises:
            TapError: What must be known for it cannot be found out.
        """

    def remember(self, load: Load, finished: FinishedExport, state: dict[str, Any]) -> None:
        """Note in a bookmark what the next run must know besides; called when a load is over."""

    def done_with(self, finished: FinishedExport) -> None:
        """Give up what was kept of an export; called once for each load, also after a failure."""

    # The loads, one after another

    @override
    def load_all(self, emit: Emit) -> Iterator[Record]:
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

    @property
    @override
    def _versions(self) -> bool:
        """Not for what is read by date: a run does not have all rows, so none is to be removed."""
        return super()._versions and not self.is_dated

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

    def _finished(self, load: Load) -> FinishedExport:
        if load.error:
            raise load.error
        return self.run.runner.result(load.spec)

    def _emit(
        self, load: Load, finished: FinishedExport, emit: Emit
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
        self, load: Load, finished: FinishedExport, emit: Emit
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

    def _ends_early(self, load: Load) -> bool:
        """Whether an export of an earlier run was taken up whose window ends before the planned.

        The bookmark must not pass over the days between: the next run begins with them.
        """
        end = self._finished(load).pending.spec.end
        early = self.is_dated and bool(end and load.spec.end and end < load.spec.end)
        if early:
            self.logger.info("Loaded up to %s; the next run goes on from there.", end)
        return early

    # The file of the next load

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

    def _ready(self, load: Load) -> FinishedExport | None:
        return None if load.error else self.run.runner.ready(load.spec)

    def _was_sent(self, load: Load) -> bool:
        finished = self._ready(load)
        return finished is not None and self._is_loaded(load, finished)

    def _key(self, finished: FinishedExport) -> str:
        return f"{self.name} {finished.export_id}"

    # Bookmarks

    def bookmark(self, partition: Mapping[str, str]) -> dt.datetime | None:
        """Return the instant up to which a partition is loaded; None where all is asked for."""
        if self.replication_method != "INCREMENTAL":
            return None
        return instant(self.get_context_state(partition).get("replication_key_value"))

    def _bound(self, partition: Mapping[str, str]) -> str | None:
        """Return the bookmark of the replication key; None where it is that of another one."""
        state = self.get_context_state(partition)
        value: str | None = state.get("replication_key_value")
        return value if state.get("replication_key") == self.replication_key else None

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

    def _is_loaded(self, load: Load, finished: FinishedExport) -> bool:
        """Whether the rows of this very export were sent before, with the same columns."""
        state = self.get_context_state(load.partition)
        return (
            state.get("replication_key")
            in {None, self.replication_key if self._is_filtered else None}
            and state.get("export_id") == finished.export_id
            and state.get("columns") == self._selection()
        )

    def _selection(self) -> str:
        """Return a short mark of the selected columns, of those hashed and of the hashes' key."""
        selected = self._selected()
        names = " ".join(selected)
        hashing = self._hashing
        if hashing and (hashed := [name for name in selected if hashing.applies(name)]):
            names += f" {hashing.of(' '.join(hashed))}"
        return f"{zlib.crc32(names.encode()):08x}"

    def _loaded(self, load: Load, finished: FinishedExport, newest: str | None = None) -> None:
        """Move the bookmark and forget the pending export, in one STATE message."""
        with self.run.ledger.lock:
            state = self.get_context_state(load.partition)
            spec = finished.pending.spec
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

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Nothing: each load has written the state that it left."""
