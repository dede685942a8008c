"""A downloaded ZIP archive, read one member at a time."""

from __future__ import annotations

import collections
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

_BLOCK = 1 << 20
MAX_RATIO = 300
"""Unpacked bytes to packed bytes above which a large member is taken for a ZIP bomb."""
LARGE = 1 << 30
"""Bytes from which a member's ratio matters: below, a bomb does no harm."""


@dataclass(frozen=True)
class ArchiveMember:
    """A file in an archive."""

    name: str
    """Base name, without folders."""
    size: int
    """Unpacked size in bytes, as the archive declares it."""
    copies: int = 1
    """How many members have this base name, in upper or lower case, itself included."""


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
        self._copies: collections.Counter[str] = collections.Counter()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError):
            raise FileError(path, "is not a whole ZIP archive. Fetch it again.") from None
        for member in sorted(self._zip.infolist(), key=lambda member: member.filename.count("/")):
            if not member.is_dir():
                name = self._base_name(member)
                self._members.setdefault(name, member)
                self._copies[name.lower()] += 1

    def names(self) -> list[ArchiveMember]:
        """Return the members, in no particular order."""
        return [
            ArchiveMember(name, member.file_size, self._copies[name.lower()])
            for name, member in self._members.items()
        ]

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
