"""The files of the extracts that are open, each shared by all tables that are loaded from it."""

from __future__ import annotations

import bisect
import itertools
import logging
import re
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.download import DownloadError
from tap_autodesk_exports.exports.export import NoFiles
from tap_autodesk_exports.files.archive import Archive, ArchiveMember
from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from tap_autodesk_exports.exports.export import ExportFile, ExportSpec, FinishedExport
    from tap_autodesk_exports.loading.dataset import Load
    from tap_autodesk_exports.workspace import Workspace

    Fetch = Callable[[FinishedExport, ExportFile, Path], Path]
    """Fetches a file of an export into a folder."""
    _Named = tuple[str, str, int | None]
    """Base name in small letters, name, and size of a file."""

logger = logging.getLogger("tap-autodesk-exports")

ZIP = "autodesk_data_extract.zip"
AT_ONCE = 1 / 3
"""Share of a minute's requests that links may take without anything else having to wait."""
BYTES_A_SECOND = 10 << 20
"""What a line is taken to carry (about 100 Mbit/s), to weigh bytes against requests."""
UNPACKING = 1.0
"""Seconds by which the ZIP must be faster: single files need no second copy on the disk."""


LACKS = "lacks"
_TABLE = re.compile(r"[a-z0-9]+_.+\.csv")
_AKIN = r"(?:[^a-z0-9_].*|_?(?:part|chunk)?[_-]?\d+(?:(?:_of_|\W|_)\d+)*)?\.csv(?:\.\w+)?"
"""What may follow a table's name in the name of a file that is the table, a part or a copy of it:
`x (2).csv`, `x-00001.csv`, `x_part2.csv`, `x.csv.gz`."""


class OpenExtracts:
    """The extracts of a run whose files are in use.

    Args:
        fetch: Fetches a file.
        workspace: Holds the files.
        requests_per_minute: How many requests there are a minute.
    """

    def __init__(self, fetch: Fetch, workspace: Workspace, requests_per_minute: int) -> None:
        self._fetch = fetch
        self._workspace = workspace
        self._requests_per_minute = requests_per_minute
        self._tables: dict[str, set[str]] = {}
        self._replaced: dict[str, str] = {}
        self._open: dict[str, ExtractFiles] = {}
        self._opening = threading.Lock()

    def expect(self, name: str, loads: Iterable[Load]) -> None:
        """Note from which extracts a table will be loaded."""
        for load in loads:
            if load.error is None:
                self._tables.setdefault(load.spec.key, set()).add(name)

    def replace(self, planned: ExportSpec, other: ExportSpec) -> None:
        """Note that an extract that is not available is replaced by another one."""
        self._replaced[planned.key] = other.key
        names = self._tables.setdefault(other.key, set())
        names |= self._tables.get(planned.key, set())

    def of(self, finished: FinishedExport) -> ExtractFiles:
        """Return the files of a finished extract; also called from the thread that prefetches."""
        key = finished.pending.spec.key
        with self._opening:
            before = self._open.get(key)
            if before and not before.is_of(finished):  # it was of no use, and requested again
                before.close()
            if before is None or not before.is_of(finished):
                tables = self._tables.get(key, set())
                as_zip = is_faster_as_zip(finished.files, tables, self._requests_per_minute)
                self._open[key] = ExtractFiles(
                    finished, self._fetch, self._workspace, as_zip=as_zip
                )
            return self._open[key]

    def close(self, planned: ExportSpec) -> None:
        """Remove the files of an extract, or of the one that replaced it."""
        with self._opening:
            files = self._open.pop(self._replaced.get(planned.key, planned.key), None)
        if files:
            files.close()


class ExtractFiles:
    """The files of a finished extract.

    Args:
        finished: The export.
        fetch: Fetches a file.
        workspace: Holds the files.
        as_zip: Whether the tables are fetched as one ZIP.
    """

    def __init__(
        self, finished: FinishedExport, fetch: Fetch, workspace: Workspace, *, as_zip: bool
    ) -> None:
        self._finished = finished
        self._fetch = fetch
        self._files = _by_name(finished.files)
        self._sorted = _sorted((each.name, each.size) for each in finished.files)
        self._has_sizes = any(each.size is not None for each in finished.files)
        self._folder = workspace.folder()
        self._archive: Archive | None = None
        self._as_zip = as_zip
        self._damaged: set[str] = set()
        self._failures: dict[str, TapError] = {}

    def is_of(self, finished: FinishedExport) -> bool:
        """Tell whether these are the files of an extract."""
        return self._finished.export_id == finished.export_id

    def table(self, name: str, folder: Path) -> Path | None:
        """Put one table's CSV file into `folder`; None where the extract has none.

        What the ZIP holds of a table counts only where it is what the listing says. Where the
        listing lacks the table, the ZIP may hold it (observed: a ZIP that is the only file); it is
        not fetched for a table alone, as many an account has no rows of some.

        Raises:
            TapError: It could not be fetched whole, it is there in several files, or the extract
                has no tables at all.
        """
        file = f"{name}.csv"
        listed = self._files.get(file)
        self._check_alone(name, self._sorted)
        in_zip = self._as_zip or (ZIP in self._files and not _has_tables(self._files))
        if in_zip and file not in self._damaged:
            member = self._unzipped(file, listed, folder)
            if member or listed is None:
                return member
        if listed is None:
            self._check_tables(self._files)
            return None
        try:
            return self._fetch(self._finished, listed, folder)
        except TapError as error:
            # What fails for every table of an extract is one failure, reported once.
            raise self._failures.setdefault(str(error).replace(file, ""), error) from None

    def _unzipped(self, file: str, listed: ExportFile | None, folder: Path) -> Path | None:
        """Return a table's file out of the ZIP; None where the ZIP has none that can be trusted."""
        try:
            archive = self._unpacked()
        except DownloadError as error:
            self._damaged.update(self._files)
            if listed is None:
                raise
            logger.warning("%s Fetching each table by itself.", error)
            return None
        member = _member(archive, file, listed, has_sizes=self._has_sizes)
        if isinstance(member, ArchiveMember):
            return archive.extract(member.name, folder)
        if listed is None:
            inside = _sorted((each.name, each.size) for each in archive.names())
            if member != LACKS:
                raise self._in_several_files(file, [f"{file} (more than once in the ZIP)"])
            self._check_alone(file.removesuffix(".csv"), inside)
            self._check_tables([*self._files, *(base for base, *_ in inside)])
            return None
        size = " without a size" if listed.size is None else f" with {listed.size} bytes"
        logger.warning(
            "The ZIP of extract %s %s '%s', which is listed%s: fetching that file by itself.",
            self._finished.export_id,
            member,
            file,
            size,
        )
        return None

    def _check_alone(self, name: str, there: Sequence[_Named]) -> None:
        """Check that a table is there as one file: parts, copies and packed files are not joined.

        Args:
            name: The table.
            there: The files, sorted.

        Raises:
            TapError: There are several, or one of another form.
        """
        akin = {(base, size): each for base, each, size in _akin(there, name)}
        file = f"{name}.csv"
        if len(akin) > 1 or any(base != file for base, _ in akin):
            raise self._in_several_files(file, sorted(akin.values()))

    def _in_several_files(self, file: str, names: Iterable[str]) -> TapError:
        listed = ", ".join(f"'{name[:100]}'" for name in list(names)[:5])
        return TapError(
            f"Extract {self._finished.export_id} does not have '{file}' as one CSV file but "
            f"{listed}: whether these are parts or copies is not documented, so nothing of the "
            "table is loaded. A newer release of this tap may know."
        )

    def _check_tables(self, names: Iterable[str]) -> None:
        """Check that the extract holds any table: a job that succeeded has one for each.

        Raises:
            NoFiles: It holds none.
        """
        if _has_tables(names):
            return
        msg = (
            f"The {self._finished.pending.spec.title} ({self._finished.export_id}) succeeded, and "
            "Autodesk lists no table of it, so nothing of it is loaded. Run again; if it happens "
            "again, give Autodesk's support this ID."
        )
        raise NoFiles(msg)

    def damaged(self, name: str) -> None:
        """Use a table's own file from now on, where there is one, and not the ZIP."""
        file = f"{name}.csv"
        if file in self._files:
            self._damaged.add(file)
        else:
            self._close_archive()

    def close(self) -> None:
        """Remove what was fetched."""
        self._close_archive()
        self._folder.cleanup()

    def _close_archive(self) -> None:
        if self._archive:
            self._archive.close()
            self._archive = None

    def _unpacked(self) -> Archive:
        if self._archive is None:
            path = self._fetch(self._finished, self._files[ZIP], Path(self._folder.name))
            try:
                self._archive = Archive(path)
            except FileError:
                self._damaged.update(self._files)
                raise
        return self._archive


def is_faster_as_zip(
    files: Iterable[ExportFile], tables: Collection[str], requests_per_minute: int
) -> bool:
    """Tell whether tables are fetched faster as one ZIP than one by one.

    The ZIP costs one request, and holds every table of the extract, compressed. Single files cost a
    request each, of which there are 60 a minute for all (documented), and only bytes of what is
    wanted.

    Args:
        files: The files as they are listed.
        tables: The tables that are wanted.
        requests_per_minute: How many requests there are a minute.
    """
    listed = _by_name(files)
    if ZIP not in listed:
        return False
    wanted = sum(listed[file].size or 0 for name in tables if (file := f"{name}.csv") in listed)
    extra = (listed[ZIP].size or 0) - wanted
    waiting = max(0.0, len(tables) - requests_per_minute * AT_ONCE) * 60 / requests_per_minute
    return waiting - extra / BYTES_A_SECOND > UNPACKING


def _by_name(files: Iterable[ExportFile]) -> Mapping[str, ExportFile]:
    """Return files by their base names in small letters; the exact name counts before others."""
    found: dict[str, ExportFile] = {}
    for file in files:
        name = _base(file.name)
        if name not in found or file.name == name:
            found[name] = file
    return found


def may_hold_tables(names: Collection[str]) -> bool:
    """Tell whether an extract whose listing has these names may hold tables: any, or the ZIP."""
    return _has_tables(names) or ZIP in map(_base, names)


def _has_tables(names: Iterable[str]) -> bool:
    return any(_TABLE.fullmatch(_base(name)) for name in names)


def _base(name: str) -> str:
    """Return a base name in small letters, without blanks around it."""
    return PurePosixPath(name.replace("\\", "/")).name.strip().lower()


def _sorted(files: Iterable[tuple[str, int | None]]) -> Sequence[_Named]:
    """Return base name, name and size of files, sorted by the first."""
    return sorted(((_base(name), name, size) for name, size in files), key=lambda each: each[0])


def _akin(there: Sequence[_Named], table: str) -> Iterator[_Named]:
    """Yield the files that are a table, by their names, or a part or a copy of it."""
    first = bisect.bisect_left(there, table, key=lambda each: each[0])
    for each in itertools.islice(there, first, None):
        if not each[0].startswith(table):
            return
        if re.fullmatch(_AKIN, each[0][len(table) :]):
            yield each


def _member(
    archive: Archive, file: str, listed: ExportFile | None, *, has_sizes: bool
) -> ArchiveMember | str:
    """Return the member that is a table's file, or as a verb what is wrong with the ZIP.

    Args:
        archive: The ZIP.
        file: Base name of the table's file, in small letters.
        listed: The file in the listing.
        has_sizes: Whether the listing says how large other files are.
    """
    member = archive.find(file)
    if member is None:
        return LACKS
    if member.copies > 1:
        return "has more than one of"
    if listed and PurePosixPath(listed.name).name != member.name:
        return "has another case for"
    if listed and listed.size is not None and listed.size != member.size:
        return f"has {member.size} bytes of"
    if listed and listed.size is None and has_sizes:
        return "cannot be compared for"
    return member
