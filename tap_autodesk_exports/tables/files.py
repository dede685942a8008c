"""From what was downloaded to one CSV file: what is this file, and what is in this archive?"""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import NoSpace
from tap_autodesk_exports.tables.dialect import BOM
from tap_autodesk_exports.tables.document import document_to_csv
from tap_autodesk_exports.tables.errors import FileError
from tap_autodesk_exports.tables.workbook import workbook_to_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

_SNIFFED = 65536
_BLOCK = 1 << 20
MAX_RATIO = 300
"""Unpacked bytes to packed bytes above which a large member is taken for a ZIP bomb."""
LARGE = 1 << 30
"""Bytes from which a member's ratio matters: below, a bomb does no harm."""


class Kind(StrEnum):
    """What a file is, by its first bytes."""

    CSV = "CSV"
    WORKBOOK = "an Excel workbook"
    JSON = "JSON"
    ARCHIVE = "a ZIP archive"
    OLD_WORKBOOK = "an Excel workbook in the old binary format (.xls)"
    MARKUP = "an HTML or XML page"
    GZIP = "gzip-compressed data"
    PDF = "a PDF document"
    UTF_16 = "text in UTF-16"


_MAGIC = (
    (b"\xd0\xcf\x11\xe0", Kind.OLD_WORKBOOK),
    (b"\x1f\x8b", Kind.GZIP),
    (b"%PDF-", Kind.PDF),
    (b"\xff\xfe", Kind.UTF_16),
    (b"\xfe\xff", Kind.UTF_16),
)


def kind_of(path: Path) -> Kind:
    """Tell what a file is from its content; names and content types are not trusted.

    Raises:
        FileError: The file has 0 bytes.
    """
    with path.open("rb") as file:
        start = file.read(_SNIFFED)
    if not start:
        raise FileError(path, "is empty (0 bytes), not even a header. Ask for a new export.")
    if start.startswith(b"PK"):
        return Kind.WORKBOOK if _is_workbook(path) else Kind.ARCHIVE
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    text = start.removeprefix(BOM).lstrip()
    if text[:1] == b"<" and (text[1:2] in (b"!", b"?") or text[1:2].isalpha()):
        return Kind.MARKUP
    if text[:1] in (b"[", b"{"):
        return Kind.JSON
    return Kind.CSV


def as_csv(
    path: Path,
    folder: Path,
    *,
    expected: Collection[str] = (),
    rename: Callable[[str], str] = str,
) -> Path:
    """Return a CSV file with what `path` holds: the file itself, or a copy that is written.

    Numbers keep their digits, and null stays apart from an empty string, as far as the format
    itself tells them apart (an Excel cell does not).

    Args:
        path: A CSV file, an .xlsx workbook, or JSON (an array of objects, or an object with
            exactly one list of objects in it; assumed, Autodesk documents no shape).
        folder: Where a copy is written.
        expected: Column names by which the sheet of a workbook is found.
        rename: From a name in the file to a column name.

    Raises:
        FileError: The file is empty or something else, for example an error page.
    """
    target = folder / f"{path.name}.csv"
    match kind_of(path):
        case Kind.CSV:
            return path
        case Kind.WORKBOOK:
            workbook_to_csv(path, target, expected=expected, rename=rename)
        case Kind.JSON:
            document_to_csv(path, target, expected=expected)
        case kind:
            raise FileError(path, f"is {kind}, not a table. Fetch it again.")
    return target


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except zipfile.BadZipFile:
        raise FileError(path, "is a damaged ZIP archive. Fetch it again.") from None


@dataclass(frozen=True)
class ArchiveMember:
    """A file in an archive."""

    name: str
    """Base name, without folders."""
    size: int
    """Unpacked size in bytes, as the archive declares it."""


class Archive:
    """A ZIP archive, read one member at a time. Members go by their base names.

    Real extracts have their CSV files at the root; Autodesk's own README speaks of a folder. Where
    two members share a base name, the one nearest to the root counts.
    """

    def __init__(self, path: Path) -> None:
        """Read the list of members.

        Raises:
            FileError: Not a ZIP archive, damaged, or with a name that leads out of its folder.
        """
        self._path = path
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError):
            raise FileError(path, "is not a whole ZIP archive. Fetch it again.") from None
        for member in sorted(self._zip.infolist(), key=lambda member: member.filename.count("/")):
            if not member.is_dir():
                self._members.setdefault(self._base_name(member), member)

    def names(self) -> list[ArchiveMember]:
        """Return the members, in no particular order."""
        return [ArchiveMember(name, member.file_size) for name, member in self._members.items()]

    def extract(self, name: str, folder: Path) -> Path:
        """Unpack one member into `folder` and return its path; its checksum is checked.

        Raises:
            KeyError: The archive has no such member.
            FileError: The member is damaged, encrypted, or a ZIP bomb.
            NoSpace: It is too large for the disk.
        """
        member = self._members[name]
        self._check_size(member, folder)
        target = folder / name
        try:
            with self._zip.open(member) as source, target.open("wb") as out:
                # zipfile hands out no more than the declared size, and checks the CRC at the end.
                shutil.copyfileobj(source, out, _BLOCK)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            target.unlink(missing_ok=True)
            raise self._error(
                name, f"which cannot be unpacked ({error}). Fetch it again."
            ) from error
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def _base_name(self, member: zipfile.ZipInfo) -> str:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename or is_link:
            raise self._error(
                json.dumps(member.filename),
                "a path that leads out of its folder. Nothing was unpacked.",
            )
        return parts.name

    def _check_size(self, member: zipfile.ZipInfo, folder: Path) -> None:
        packed, size = max(member.compress_size, 1), member.file_size
        if size > LARGE and size / packed > MAX_RATIO:
            raise self._error(
                member.filename,
                f"which unpacks {size // packed} times its size, as only a ZIP bomb does."
                " Nothing was unpacked.",
            )
        free = shutil.disk_usage(folder).free
        if size > free:
            # No fault of the file: it must not be given up for it.
            message = (
                f"The file '{self._path.name}' holds {member.filename}, which needs {size} bytes "
                f"of disk, where {free} are free. Free some, or name a roomier folder in the "
                "environment variable TMPDIR."
            )
            raise NoSpace(message)

    def _error(self, member: str, problem: str) -> FileError:
        return FileError(self._path, f"holds {member}, {problem}")
