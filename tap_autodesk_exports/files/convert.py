"""What was downloaded becomes one CSV file: what is this file?"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from tap_autodesk_exports.files.archive import Archive, open_zip, unpack_gzip
from tap_autodesk_exports.files.child import json_to_csv, workbook_to_csv
from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

_SNIFFED = 65536
_PADDING = b" \t\r\n\v\f\0\xef\xbb\xbf"
"""What may come before a document: blanks and blank lines, and byte order marks."""
_JSON = re.compile(rb'\[\s*(?:[\[{"\]0-9-]|null|true|false|\Z)|\{\s*(?:["}]|\Z)')
"""How a JSON array or object begins; a name in brackets may be the header of a table."""


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
    text = start.lstrip(_PADDING)
    if text[:1] == b"<" and (text[1:2] in (b"!", b"?") or text[1:2].isalpha()):
        return Kind.MARKUP
    if _JSON.match(text):
        return Kind.JSON
    return Kind.CSV


def as_csv(  # noqa: PLR0913
    path: Path,
    folder: Path,
    *,
    json: bool = False,
    expected: Collection[str] = (),
    rename: Callable[[str], str] = str,
    left_aside: Callable[[int], None] = lambda _: None,
    copies: Callable[[int], None] = lambda _: None,
) -> Path:
    """Return a CSV file with what `path` holds: the file itself, or a copy that is written.

    Numbers keep their digits, and null stays apart from an empty string, as far as the format
    itself tells them apart (an Excel cell does not).

    Args:
        path: A CSV file, an .xlsx workbook, or JSON (an array of objects, or an object with
            exactly one list of objects in it; assumed, Autodesk documents no shape); it may be
            packed with gzip, or be the only file in a ZIP archive.
        folder: Where a copy is written.
        json: Whether JSON was requested. Otherwise JSON is an answer about something else.
        expected: Column names by which the sheets of a workbook are found.
        rename: From a name in the file to a column name.
        left_aside: Called with the position, from 1, of each sheet with rows that does not have the
            report's header.
        copies: Called with the position of each sheet that is the same as an earlier one.

    Raises:
        FileError: The file is empty or something else, for example an error page.
        NoSpace: The disk has no room for a copy.
    """
    kind = kind_of(path)
    if kind in {Kind.GZIP, Kind.ARCHIVE}:
        path = _unpacked(path, folder, kind)
        kind = kind_of(path)
    if kind is Kind.CSV:
        return path
    if kind is Kind.WORKBOOK:
        return workbook_to_csv(
            path, folder, expected=expected, rename=rename, left_aside=left_aside, copies=copies
        )
    if kind is Kind.JSON and json:
        return json_to_csv(path, folder, expected=expected)
    raise FileError(path, f"is {kind}, not a table. Fetch it again.")


def _is_workbook(path: Path) -> bool:
    with open_zip(path) as archive:
        return any(name.startswith("xl/") for name in archive.namelist())


def _unpacked(path: Path, folder: Path, kind: Kind) -> Path:
    """Unpack the one file that a packed file holds."""
    if kind is Kind.GZIP:
        return unpack_gzip(path, folder / f"{path.name}.unpacked")
    archive = Archive(path)
    try:
        names = [member.name for member in archive.names()]
        if len(names) != 1:
            raise FileError(path, f"is a ZIP archive with {len(names)} files, not a table.")
        inside = folder / "unpacked"
        inside.mkdir(exist_ok=True)
        return archive.extract(names[0], inside)
    finally:
        archive.close()
