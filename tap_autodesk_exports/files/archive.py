"""Downloaded archives: a ZIP archive, read one member at a time, and a file packed with gzip."""

from __future__ import annotations

import collections
import gzip
import json
import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import NoSpace
from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_NAME = 255
"""Bytes that the name of a file may have, on every system that this tap runs on."""
_BLOCK = 1 << 20
MAX_RATIO = 300
"""Unpacked bytes to packed bytes above which a large member is taken for a bomb."""
LARGE = 1 << 30
"""Bytes from which a member's ratio matters: below, a bomb does no harm."""
MAX_DIRECTORY = 4 << 20
"""Bytes of a ZIP archive's list of members: tens of thousands of them, of which each takes almost
a kilobyte in memory. An extract of all tables has 254."""


@dataclass(frozen=True)
class ArchiveMember:
    """A file in an archive."""

    name: str
    """Base name, without folders."""
    size: int
    """Unpacked size in bytes, as the archive declares it."""
    copies: int = 1
    """How many members have this base name, in upper or lower case, itself included."""


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a ZIP archive, unless its list of members alone takes too much memory.

    Raises:
        FileError: It is none, it is cut off, or it has too many members.
    """
    problem = "is not a whole ZIP archive. Fetch it again."
    try:
        with path.open("rb") as file:
            # What ZipFile itself looks at: a reading of our own might find another end.
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001
        size = end[zipfile._ECD_SIZE] if end else 0  # type: ignore[attr-defined]  # noqa: SLF001
        if size <= MAX_DIRECTORY:
            return zipfile.ZipFile(path)
        problem = (
            f"is a ZIP archive whose list of files has {size} bytes, of which {MAX_DIRECTORY} are "
            "allowed. Nothing was unpacked."
        )
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        pass
    raise FileError(path, problem)


class Archive:
    """A ZIP archive, read one member at a time. Members go by their base names.

    Real extracts have their CSV files at the root; Autodesk's own README speaks of a folder. Where
    two members share a base name, the one nearest to the root counts.
    """

    def __init__(self, path: Path) -> None:
        """Read the list of members.

        Raises:
            FileError: Not a ZIP archive, damaged, with too many members, or with a name that leads
                out of its folder.
        """
        self._path = path
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._copies: collections.Counter[str] = collections.Counter()
        self._spellings: dict[str, str] = {}
        self._zip = open_zip(path)
        for member in sorted(self._zip.infolist(), key=lambda member: member.filename.count("/")):
            if not member.is_dir():
                name = self._base_name(member)
                self._members.setdefault(name, member)
                self._spellings.setdefault(name.lower(), name)
                self._copies[name.lower()] += 1

    def names(self) -> list[ArchiveMember]:
        """Return the members, in no particular order."""
        return [self._member(name) for name in self._members]

    def find(self, name: str) -> ArchiveMember | None:
        """Return the member that has a name, whatever its case; None where there is none."""
        found = self._spellings.get(name.lower())
        return None if found is None else self._member(found)

    def _member(self, name: str) -> ArchiveMember:
        return ArchiveMember(name, self._members[name].file_size, self._copies[name.lower()])

    def extract(self, name: str, folder: Path) -> Path:
        """Unpack one member into `folder` and return its path; its checksum is checked.

        Raises:
            KeyError: The archive has no such member.
            FileError: The member is damaged, encrypted, or a ZIP bomb.
            NoSpace: It is too large for the disk.
        """
        member = self._members[name]
        shown = member.filename[:100]
        if is_bomb(member.file_size, member.compress_size):
            raise self._error(shown, f"which unpacks {_BOMB}")
        if member.file_size > shutil.disk_usage(folder).free:
            raise no_room(self._path, member.file_size, folder)
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
            problem = f"which cannot be unpacked ({type(error).__name__}). Fetch it again."
            raise self._error(shown, problem) from error
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
                json.dumps(member.filename[:100]),
                "a path that leads out of its folder. Nothing was unpacked.",
            )
        if len(parts.name.encode(errors="surrogatepass")) > _LONGEST_NAME:
            shown = f"'{parts.name[:100]}…'"
            raise self._error(shown, "a name that is too long for a file. Nothing was unpacked.")
        return parts.name

    def _error(self, member: str, problem: str) -> FileError:
        return FileError(self._path, f"holds {member}, {problem}")


def unpack_gzip(path: Path, target: Path) -> Path:
    """Unpack a file that is packed with gzip; its checksums are checked.

    Raises:
        FileError: It is damaged, cut off, or a bomb.
        NoSpace: It is too large for the disk.
    """
    try:
        with gzip.open(path) as source, target.open("wb") as out:
            while block := source.read(_BLOCK):
                _check_size(path, out.tell() + len(block), len(block), target.parent)
                out.write(block)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        target.unlink(missing_ok=True)
        raise FileError(
            path, "is gzip-compressed, and damaged or cut off. Fetch it again."
        ) from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _check_size(path: Path, size: int, needed: int, folder: Path) -> None:
    """Refuse to unpack a bomb, or more than the disk has room for."""
    if is_bomb(size, path.stat().st_size):
        raise FileError(path, f"unpacks {_BOMB}")
    if needed > shutil.disk_usage(folder).free:
        raise no_room(path, size, folder)


def is_bomb(size: int, packed: int) -> bool:
    """Tell whether so many unpacked bytes of so many packed ones are a bomb."""
    return size > LARGE and size / max(packed, 1) > MAX_RATIO


def no_room(path: Path, size: int, folder: Path) -> NoSpace:
    """Return the error for a file that the disk has no room for; the file itself may be good."""
    return NoSpace(
        f"The file '{path.name}' needs {size} bytes of disk to be unpacked, where "
        f"{shutil.disk_usage(folder).free} are free. Free some, or name a roomier folder in the "
        "environment variable TMPDIR."
    )


_BOMB = f"more than {MAX_RATIO} times its size, as only a ZIP bomb does. Nothing was unpacked."
