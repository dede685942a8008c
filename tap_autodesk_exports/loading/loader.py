"""One dataset's loads, in order: wait, fetch, read, send, and only then move the bookmark."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from typing import TYPE_CHECKING, Any, Protocol

from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.download import DownloadError
from tap_autodesk_exports.exports.export import (
    NoFiles,
    NoTable,
    NotAvailable,
    NotFinished,
    NotUnderstood,
)
from tap_autodesk_exports.files.csv_dialect import read_header
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.loading.differences import Differences
from tap_autodesk_exports.loading.identity import CHANGED, IdentityChanged
from tap_autodesk_exports.loading.restart import (
    NOT_REPLACED,
    reaches,
    replaces_rows,
    replaces_until,
)
from tap_autodesk_exports.tables.table import Table
from tap_autodesk_exports.tables.types import Column
from tap_autodesk_exports.workspace import full_disk_told

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.loading.bookmarks import Bookmarks
    from tap_autodesk_exports.loading.dataset import Load, Selected, Source
    from tap_autodesk_exports.loading.schedule import Schedule
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.layout import TableSchema
    from tap_autodesk_exports.tables.types import Type

logger = logging.getLogger("tap-autodesk-exports")

Record = dict[str, Any]
After = tuple[str, str] | None
"""A column and the bound from which rows are sent; None for all."""
MISSED = dt.timedelta(days=30)
"""How long a table of which exports have no file any more is asked for again from its bookmark."""
OF_AN_EXPORT = (DownloadError, FileError, NoFiles, NotAvailable, NoTable, NotUnderstood)
"""What is wrong with the files of one export, so that another one may have them."""


class Sink(Protocol):
    """Where the rows of a dataset go. Nothing here knows what it makes of them."""

    def rows(self, table: Table, after: After) -> Iterable[Record]:
        """Send the rows of a table. What it yields is handed on to whoever runs the loader."""

    def begin_version(self, version: int) -> None:
        """Prepare to send a new version of the whole table, where the dataset has versions.

        Args:
            version: The version of rows of which earlier runs sent some; 0: a new one.
        """

    def activate_version(self) -> None:
        """Say that all rows of the new version were sent, so that those of others are gone."""

    def constants(self) -> Mapping[str, tuple[Type, str | None]]:
        """Return columns that every row carries in addition to its own, as in a `TableSchema`."""

    def state(self) -> None:
        """Write the state."""

    def fail(self, error: TapError) -> None:
        """Take note that a load failed or is pending; the others go on."""


class Loader:
    """Loads one dataset into a sink.

    Args:
        selected: The dataset.
        source: Its API.
        schedule: The loads of the run.
        sink: Where the rows go.
        engine: Reads the tables.
        start_date: The setting, for a warning where it has no effect.
    """

    def __init__(  # noqa: PLR0913
        self,
        selected: Selected,
        source: Source,
        schedule: Schedule,
        sink: Sink,
        engine: Engine,
        *,
        start_date: dt.datetime | None = None,
    ) -> None:
        self._selected = selected
        self._dataset = selected.dataset
        self._bookmarks = selected.bookmarks
        self._source = source
        self._schedule = schedule
        self._sink = sink
        self._engine = engine
        self._start_date = start_date
        self._without_file: str | None = None
        self._awaited: str | None = None
        self._has_file = False
        self._differences = Differences(selected)

    def load(self) -> Iterator[Record]:
        """Load each export; after a failure, nothing more of the same partition.

        Raises:
            TapError: Nothing of the dataset can be loaded.
        """
        loads = self._schedule.loads_of(self._selected.name)
        unfinished = list(loads)
        try:
            self._bookmarks.check()
            _warn_of_earlier_start(self._bookmarks, self._selected, self._start_date)
            _warn_of_other_rows(self._bookmarks, self._selected)
            yield from self._load_all(loads, unfinished)
        finally:
            # Those that were not reached, so that what is kept for them is removed.
            for load in unfinished:
                self._schedule.finish(load)

    def _load_all(self, loads: Sequence[Load], unfinished: list[Load]) -> Iterator[Record]:
        replaces = self._bookmarks.replacing
        self._sink.begin_version(0 if self._selected.has_versions else replaces)
        if replaces:  # noted before the first row: the next run may be given other settings
            self._sink.state()
        whole = self._selected.has_versions and self._needs_version(loads)
        owners, complete, failed = {load.spec.owner for load in loads}, True, False
        ended: list[Mapping[str, str]] = []
        for load in loads:
            if load.partition in ended:
                continue
            try:
                if not (yield from self._load(load, unfinished, whole=whole)):
                    ended.append(load.partition)
                    end = self._result(load).pending.spec.end
                    until = replaces_until(self._bookmarks.states, load.spec.owner, owners)
                    complete = complete and reaches(end, until)
            except TapError as error:
                ended.append(load.partition)
                complete, failed = False, True
                self._sink.fail(error)
                if isinstance(error, (FileError, NoFiles)):
                    # An export whose file is bad is not resumed by the next run.
                    self._schedule.give_up(load)
                elif isinstance(error, IdentityChanged) and not self._selected.may_replace:
                    # Kept pending, it would be all that later runs look at, for other tables too.
                    self._schedule.settle(load)
        if loads and (whole or replaces) and complete and self._is_whole(loads):
            self._activate(loads)
        elif replaces and not failed:
            self._replace_later(loads)

    def _activate(self, loads: Iterable[Load]) -> None:
        self._sink.activate_version()
        for load in loads:
            self._bookmarks.close_version(load.partition)
        if self._bookmarks.replacing:
            self._bookmarks.close_version({})
            self._bookmarks.end_replacing()
        self._sink.state()

    def _replace_later(self, loads: Sequence[Load]) -> None:
        """Say that a version is not complete, or end one that has no file, nor rows to replace."""
        is_there = any(replaces_rows(self._bookmarks.states, load.spec.owner) for load in loads)
        if is_there or self._has_file or not self._without_file:
            self._sink.fail(NotFinished(NOT_REPLACED))
            return
        self._bookmarks.end_replacing()
        self._sink.state()

    def _is_whole(self, loads: Iterable[Load]) -> bool:
        """Tell whether all rows that there are were loaded, so that the others are gone."""
        why = self._source.incomplete(self._dataset)
        lacking = self._awaited
        if not (self._bookmarks.replacing and self._has_file):  # else there are no rows of it
            lacking = lacking or self._without_file
        if lacking:
            why = f"export {lacking} has no file of it"
        else:
            why = why or self._source.left_out(self._selected, loads)
        if why:
            logger.warning(
                "%s: %s, so rows that are gone are not removed.", self._selected.name, why
            )
        return not why

    def _needs_version(self, loads: Iterable[Load]) -> bool:
        """Tell whether a new version of the table is due, and every partition is available.

        It replaces the whole table, so it needs the rows of all, also of those that are unchanged.
        """
        try:
            due = [
                not self._bookmarks.is_loaded(load.partition, self._result(load))
                or self._bookmarks.version_is_open(load.partition)
                for load in loads
            ]
        except TapError:
            logger.info(
                "%s: not every export is available, so rows that are gone are not removed.",
                self._selected.name,
            )
            return False
        return any(due)

    def _load(
        self, load: Load, unfinished: list[Load], *, whole: bool
    ) -> Generator[Record, Any, bool]:
        """Load an export; return whether the next one of its partition can follow."""
        newest, name = None, self._selected.name
        try:
            finished = self._result(load)
            if not whole and self._bookmarks.is_loaded(load.partition, finished):
                logger.debug("%s: %s was loaded before; not sent again.", name, finished.export_id)
            else:
                try:
                    newest = yield from self._send(load, finished, whole=whole)
                except OF_AN_EXPORT as error:
                    if isinstance(error, NoTable) and not self._bookmarks.replacing:
                        raise  # the next run asks for it in any case
                    finished = self._schedule.another(load, finished, error)
                    newest = yield from self._send(load, finished, whole=whole)
        except NoTable:  # also of a newer export, where an earlier run had left this one pending
            self._awaited = finished.export_id
            logger.warning("%s: later runs ask for these days again.", name)
            with self._schedule.lock:
                self._schedule.settle(load)
                self._sink.state()
            return False
        finally:
            unfinished.remove(load)
            self._schedule.finish(load)
        self._complete(load, finished, newest)
        return not self._ends_early(load)

    def _result(self, load: Load) -> FinishedExport:
        return self._schedule.result(self._selected.name, load)

    def _send(
        self, load: Load, finished: FinishedExport, *, whole: bool
    ) -> Generator[Record, Any, str | None]:
        """Send the rows of an export; return the replication key's greatest value, if it counts."""
        try:
            return (yield from self._send_file(load, finished, whole=whole))
        except FileError as error:
            # No row of it was sent: a file is read to its end before the first one goes out.
            logger.warning("%s Downloading it again.", error)
            self._schedule.discard(self._selected.name, finished)
            return (yield from self._send_file(load, finished, whole=whole))

    def _send_file(
        self, load: Load, finished: FinishedExport, *, whole: bool
    ) -> Generator[Record, Any, str | None]:
        name, replication = self._selected.name, self._bookmarks.replication
        with full_disk_told(), self._schedule.file(name, load, finished) as path:
            if path is None:
                loads = self._schedule.loads_of(name)
                if _waits(self._bookmarks, loads, load, finished):
                    msg = f"The {load.spec.title} ({finished.export_id}) has no file of '{name}'."
                    raise NoTable(msg)
                self._without_file = finished.export_id
                return None
            self._has_file = True
            with self._table(path, finished) as table:
                self._differences.before(table, path.name)
                mark = self._mark(load, table, whole=whole)
                if self._selected.has_versions:
                    self._bookmarks.open_version(load.partition)
                yield from self._sink.rows(table, self._bookmarks.after(load.partition))
                self._differences.after(table, path.name)
                self._bookmarks.note_identity(load.partition, mark)
                return table.maximum(str(replication.key)) if replication.is_filtered else None

    def _table(self, path: Path, finished: FinishedExport) -> Table:
        schema = _with_constants(
            self._selected.schema,
            self._source.constants(self._dataset, finished),
            read_header(path).names,
        )
        return Table(
            path,
            dataclasses.replace(schema, constants={**schema.constants, **self._sink.constants()}),
            export_id=finished.export_id,
            exported_at=finished.exported_at,
            engine=self._engine,
        )

    def _mark(self, load: Load, table: Table, *, whole: bool) -> str:
        """Return the mark of what the keys of a partition's rows are made of, with this file's.

        Raises:
            IdentityChanged: Rows that were loaded before would be there twice.
        """
        used, identity = table.identified_by(), self._selected.identity
        absent = table.absent_from_key()
        mark = self._bookmarks.identity(load.partition)
        why = identity.is_replaced_by(used, mark, absent) if mark else None
        if why and not whole:  # a version of the whole table replaces it anyway
            if self._selected.may_replace:
                self._bookmarks.note_identity(load.partition, CHANGED)
            raise IdentityChanged(why, will_replace=self._selected.may_replace)
        return identity.mark(used, None if why else mark, absent)

    def _complete(self, load: Load, finished: FinishedExport, newest: str | None) -> None:
        """Move the bookmark and forget the pending export, in one STATE message."""
        with self._schedule.lock:
            state = self._bookmarks.move(load.partition, finished, newest)
            if self._bookmarks.identity(load.partition) is None:  # there was no row to look at
                self._bookmarks.note_identity(load.partition, self._selected.identity.mark())
            self._source.remember(self._dataset, load, finished, state)
            self._schedule.settle(load)
            self._sink.state()

    def _ends_early(self, load: Load) -> bool:
        """Tell whether a resumed export of an earlier run ends before the planned window does.

        The bookmark must not pass over the days between: the next run starts with them.
        """
        end = self._result(load).pending.spec.end
        early = self._dataset.is_dated and bool(end and load.spec.end and end < load.spec.end)
        if early:
            logger.info(
                "%s: loaded up to %s; the next run continues from there.", self._selected.name, end
            )
        return early


# What the user should know


def _warn_of_other_rows(bookmarks: Bookmarks, selected: Selected) -> None:
    """Warn where rows that were loaded have other columns than those that follow."""
    if bookmarks.has_other_rows():
        logger.warning(
            "%s: other columns are selected, hashed or mapped than before: that holds for rows "
            "that are read from now on. To have it in all, run once with `--full-refresh`.",
            selected.name,
        )


def _warn_of_earlier_start(
    bookmarks: Bookmarks, selected: Selected, start_date: dt.datetime | None
) -> None:
    """Warn of a start date before the one that a dataset was first loaded from."""
    if not (selected.dataset.is_dated and start_date):
        return
    if first := bookmarks.starts.after(start_date, bookmarks.states.of):
        logger.warning(
            "%s: setting 'start_date' (%s) is earlier than where this stream started, %s, and "
            "has no effect. To load what is before that, run once with `--full-refresh`.",
            selected.name,
            f"{start_date:%Y-%m-%d}",
            first,
        )


# Of an export


def _waits(
    bookmarks: Bookmarks, loads: Sequence[Load], load: Load, finished: FinishedExport
) -> bool:
    """Tell whether a table of which an export has no file is asked for again for its days.

    Where it had files, and as long as one request holds the days since, because a table that is
    gone for good must cost no more. One that is being replaced waits where rows are there, which
    would be removed, and none would come in their place.
    """
    if bookmarks.replacing:
        return replaces_rows(bookmarks.states, load.spec.owner)
    position, end = bookmarks.position(load.partition), instant(finished.pending.spec.end)
    is_only_one = sum(each.partition == load.partition for each in loads) == 1
    return bool(is_only_one and position and end and end - position <= MISSED)


def _with_constants(
    schema: TableSchema, texts: Mapping[str, str | None], names: Sequence[str]
) -> TableSchema:
    """Give a schema's constants their texts; one without may be a column of the file, by row."""
    types = {name: type_ for name, (type_, _) in schema.constants.items()}
    read = [name for name in types if texts.get(name) is None and name in names]
    constants = {name: (type_, texts.get(name)) for name, type_ in types.items()}
    columns = tuple(Column(name, constants.pop(name)[0]) for name in read)
    return dataclasses.replace(schema, columns=(*schema.columns, *columns), constants=constants)
