"""An .xlsx workbook: the first rows of each sheet, and a sheet as CSV."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import python_calamine

from tap_autodesk_exports.files.csv_dialect import write_row
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.sheets import Sheets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEADER_ROWS = 50
"""Rows from the top of a sheet among which its header is looked for."""
_HEADER_CELLS = 2000
_HEADER_TEXT = 256
"""Cells of such a row, and characters of a cell, that are looked at."""
_MICROSECOND = dt.timedelta(microseconds=1)


class Workbook:
    """A workbook.

    Excel has one number type and no empty string: 1.0 is written as 1, an empty cell is null. Dates
    are YYYY-MM-DD, instants YYYY-MM-DD HH:MM:SS[.ffffff]. Rows without a value are left out.

    Raises:
        FileError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._readable():
            self._sheets = Sheets(path)

    @property
    def names(self) -> list[str]:
        """Names of the sheets, in order."""
        return self._sheets.names

    def head(self, name: str) -> list[list[str]]:
        """Return the texts in each of the first rows of a sheet.

        Raises:
            FileError: It cannot be read.
        """
        with self._readable():
            return [
                [
                    value[:_HEADER_TEXT]
                    for value in row[:_HEADER_CELLS]
                    if isinstance(value, str) and value
                ]
                for row in itertools.islice(self._sheets.rows(name), _HEADER_ROWS)
            ]

    def write(self, name: str, start: int, target: Path) -> None:
        """Write a sheet as CSV.

        Args:
            name: The sheet.
            start: Position of its header among its rows, counted from 0.
            target: The file to write.

        Raises:
            FileError: It cannot be read, or has values to the right of its header.
        """
        with self._readable(), target.open("wb") as out:
            rows = itertools.islice(self._sheets.rows(name), start, None)
            header = [_cell(value) for value in next(rows)]
            out.write(write_row(header))
            for row in rows:
                cells = [_cell(value) for value in row]
                if any(cell is not None for cell in cells[len(header) :]):
                    raise FileError(self._path, "has values to the right of its header.")
                if any(cell is not None for cell in cells):
                    cells += [None] * (len(header) - len(cells))
                    out.write(write_row(cells[: len(header)]))

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn what a library finds wrong with the file into a sentence, without its cells."""
        try:
            yield
        except python_calamine.PasswordError:
            raise FileError(self._path, "is a workbook with a password.") from None
        except (
            python_calamine.CalamineError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            UnicodeError,
        ) as error:
            problem = f"is a workbook that cannot be read ({type(error).__name__}). Fetch it again."
            raise FileError(self._path, problem) from None


def _cell(value: Any) -> bytes | None:  # noqa: ANN401
    return _text(value).encode() or None


def _text(value: Any) -> str:  # noqa: ANN401
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case dt.datetime():
            return value.isoformat(" ")
        case dt.timedelta():
            return _duration(value)
        case _:
            return str(value)


def _duration(value: dt.timedelta) -> str:
    seconds, microseconds = divmod(round(value / _MICROSECOND), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{microseconds:06}" if microseconds else ""
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"
