"""The sheets of an .xlsx workbook, row by row, in bounded memory.

calamine reads a sheet quickly, but whole: a million rows of 20 cells take 1.7 GB (measured). So a
large sheet is handed to it in pieces: workbooks that hold the same styles and texts and a part of
the rows.
"""

from __future__ import annotations

import html
import io
import re
import zipfile
from typing import IO, TYPE_CHECKING, Any

import python_calamine

from tap_autodesk_exports.files.archive import is_bomb, open_zip
from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PIECE = 8 << 20
"""Bytes of XML that calamine gets at a time; sheets of up to twice as many are read whole."""
_MAX_ROW = 64 << 20
"""Bytes of XML that a row may have, or what comes before the first one."""
_TAG = r"<(?:\w+:)?{} [^>]*>"
_ATTRIBUTE = re.compile(r"([\w:]+)\s*=\s*[\"']([^\"']*)[\"']")
_ERROR = re.compile(rb"(<(?:\w+:)?c\s[^<>]*?\bt\s*=\s*)[\"']e[\"']")
"""Begin of a cell whose text is that of an error, such as `#N/A`: calamine reads it as empty."""
_DATA_BEGINS = re.compile(rb"<((?:\w+:)?)sheetData\s*>")
_DIMENSION = re.compile(rb"<(?:\w+:)?dimension[^>]*/>")


class Sheets:
    """The sheets of a workbook."""

    def __init__(self, path: Path) -> None:
        """Open the workbook.

        Raises:
            python_calamine.CalamineError: It is none.
            zipfile.BadZipFile: It is damaged.
            FileError: It has too many parts, or one that is a bomb.
        """
        self._path = path
        self._archive = open_zip(path)
        for member in self._archive.infolist():
            if is_bomb(member.file_size, member.compress_size):
                raise FileError(path, "is a workbook that unpacks as only a ZIP bomb does.")
        self._book = python_calamine.CalamineWorkbook.from_path(path)
        self._parts = self._find_parts()

    @property
    def names(self) -> list[str]:
        """Names of the sheets, in order."""
        return self._book.sheet_names

    def rows(self, name: str) -> Iterator[list[Any]]:
        """Yield the rows of a sheet from its first; each begins at column A."""
        part = self._parts.get(name)
        if part is None or (part.file_size <= 2 * _PIECE and not self._has_errors(part)):
            sheet = self._book.get_sheet_by_name(name)
            yield from _from_column_a(sheet, sheet.iter_rows())
            return
        for piece in self._pieces(part):
            with python_calamine.CalamineWorkbook.from_filelike(piece) as book:
                # Not from the first row of the sheet, but from the first that the piece holds.
                sheet = book.get_sheet_by_name(name)
                yield from _from_column_a(sheet, sheet.to_python(skip_empty_area=True))

    def _has_errors(self, part: zipfile.ZipInfo) -> bool:
        return _ERROR.search(self._archive.read(part)) is not None

    def _find_parts(self) -> dict[str, zipfile.ZipInfo]:
        """Return the file of each sheet, where it can be told."""
        files = {member.filename: member for member in self._archive.infolist()}
        texts = [
            self._archive.read(name).decode("utf-8-sig") if name in files else ""
            for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels")
        ]
        sheets, relations = (
            [dict(_ATTRIBUTE.findall(tag)) for tag in re.findall(_TAG.format(kind), text)]
            for kind, text in zip(("sheet", "Relationship"), texts, strict=True)
        )
        targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
        parts = {}
        for sheet in sheets:
            target = targets.get(sheet.get("r:id"), "")
            file = files.get(target.lstrip("/") if target.startswith("/") else f"xl/{target}")
            if file:
                parts[html.unescape(sheet.get("name", ""))] = file
        return parts

    def _pieces(self, part: zipfile.ZipInfo) -> Iterator[io.BytesIO]:
        """Cut the XML of a sheet between rows, and make a workbook of each piece."""
        with self._archive.open(part) as xml:
            before, rest, prefix = self._beginning(xml)
            row_ends = b"</" + prefix + b"row>"
            behind = b"</" + prefix + b"sheetData></" + prefix + b"worksheet>"
            block = rest
            while block:
                end = rest.rfind(row_ends)
                if end >= 0:
                    end += len(row_ends)
                    yield self._workbook(part, before + rest[:end] + behind)
                    rest = rest[end:]
                if len(rest) > _MAX_ROW:
                    raise FileError(self._path, f"has a row of more than {_MAX_ROW} bytes.")
                block = xml.read(_PIECE)
                rest += block

    def _beginning(self, xml: IO[bytes]) -> tuple[bytes, bytes, bytes]:
        """Return what comes before the rows, what has been read of them, and the names' prefix."""
        text = b""
        while (found := _DATA_BEGINS.search(text)) is None:
            block = xml.read(_PIECE)
            if not block:
                return text, b"", b""
            if len(text) > _MAX_ROW:
                raise FileError(self._path, "is a workbook with a sheet that has no rows.")
            text += block
        before = _DIMENSION.sub(b"", text[: found.end()])
        return before, text[found.end() :], found[1]

    def _workbook(self, part: zipfile.ZipInfo, xml: bytes) -> io.BytesIO:
        piece = io.BytesIO()
        with zipfile.ZipFile(piece, "w") as out:
            for name in self._archive.namelist():
                if name.count("/") <= 1 or name.startswith("xl/_rels/"):
                    out.writestr(name, self._archive.read(name))
            out.writestr(part.filename, _ERROR.sub(rb'\1"str"', xml))
        piece.seek(0)
        return piece


def _from_column_a(
    sheet: python_calamine.CalamineSheet, rows: Iterable[list[Any]]
) -> Iterator[list[Any]]:
    left = [""] * (sheet.start[1] if sheet.start else 0)
    for row in rows:
        yield left + row
