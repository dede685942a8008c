"""What was downloaded becomes one CSV file: what is this file?"""

from __future__ import annotations

import zipfile
from enum import StrEnum
from typing import TYPE_CHECKING

from tap_autodesk_exports.files.csv_dialect import BOM
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.json_list import document_to_csv
from tap_autodesk_exports.files.workbook import workbook_to_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

_SNIFFED = 65536


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
