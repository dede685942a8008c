"""The CSV dialect, byte by byte: the header, and what to do when DuckDB and the file disagree.

Commas, optional quotes, `""` for a quote inside quotes, any newline, an optional UTF-8 byte order
mark (observed in real extracts). An unquoted empty cell is null, a quoted one is an empty string
(observed). A quote inside an unquoted cell is that character, as Python's csv module has it.

DuckDB reads every file; this module reads the first line of each, looks at the quotes and commas
of all, and reads the whole of the few in which DuckDB finds an error or does not account for every
byte. That is slower by far, and has the last word.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    Cell = bytes | None
    """A cell's text in UTF-8; None is null."""
    Suspicion = Callable[[bytes], bool]
    """Tells whether some lines may hold something that must not leave as it is."""

logger = logging.getLogger("tap-autodesk-exports")

BOM = b"\xef\xbb\xbf"
QUOTE = b'"'
MAX_RECORD = 64 << 20
"""Bytes that one record may have."""
MAX_CELLS = 200_000
"""Cells that one record may have: no table has a hundredth of them, and each costs memory."""
MAX_LINE = 4 << 20
"""Bytes that a line may have for its quotes to be looked at in a survey."""
FEWEST_NAMES = 3
"""Names in a header from which a row that is equal to it is no data: files were joined."""
_BLOCK = 1 << 16
"""Bytes looked at together: as many as the processor's own memory holds."""
_WINDOW = 1 << 18
"""Bytes that are read at a time, at least."""
_EDGES = frozenset((b"", b",", b"\n", b"\r"))
_FIRST, _LAST = itemgetter(slice(1)), itemgetter(slice(-1, None))
_CELL = re.compile(rb'(?:"([^"]*+(?:""[^"]*+)*+)"|([^,\r\n"][^,\r\n]*+|))(,|\r\n|\n|\r|\Z)')
_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_SPECIAL = re.compile(rb'[",\r\n]')


@dataclass(frozen=True)
class Header:
    """The first record of a file."""

    names: tuple[str, ...]
    newline: bytes
    """What ends the header line; empty where the file has nothing else."""
    end: int
    """Offset in bytes of the first row."""

    def line(self, path: Path) -> bytes | None:
        """Return the header as it is written; None where a row of data may be like it."""
        if len(self.names) < FEWEST_NAMES:
            return None
        with path.open("rb") as file:
            return file.read(self.end).removeprefix(BOM).rstrip(b"\r\n")


def read_header(path: Path) -> Header:
    """Read the first record of a CSV file.

    Raises:
        FileError: The file is empty, its first line is blank, or it is not UTF-8.
    """
    if path.stat().st_size == 0:
        raise FileError(path, "is empty (0 bytes). Ask for a new export.")
    header = next(records(path), None)
    if header is None or not any(header.cells):
        raise FileError(path, "does not begin with a header.", line=1)
    names = tuple((_text(path, cell, 1) or "") for cell in header.cells)
    return Header(names, header.newline, header.end)


@dataclass(frozen=True)
class Survey:
    """What looking at the quotes and commas of a file has shown."""

    marks: int | None
    """How many quote characters are no part of a cell's text, as one of two within quotes is; None
    where one is neither at the edge of a cell, nor doubled, nor closes what another one opened, or
    a line is too long."""
    is_suspicious: bool
    """Whether some of its lines are, by the `Suspicion` that was asked for."""


def survey(path: Path, start: int, suspicion: Suspicion) -> Survey:
    """Look at every quote character from byte `start`, the beginning of a row, to the end."""
    total = doubled = 0
    is_suspicious = False
    try:
        for lines, outside, inside in _split_by_quotes(path, start):
            total += len(outside) + len(inside) - 1
            doubled += outside.count(b"")
            is_suspicious = is_suspicious or suspicion(lines)
    except _MisplacedQuoteError:
        return Survey(None, is_suspicious)
    return Survey(total - doubled, is_suspicious)


def count_commas(path: Path, start: int, suspicion: Suspicion) -> int | None:
    """Count the commas between cells from byte `start`, the beginning of a row, to the end.

    Returns:
        Their number; None where a quote is misplaced, as in `Survey.marks`, a line does not end by
        a line feed alone, or something is suspicious.
    """
    total = 0
    try:
        for lines, outside, inside in _split_by_quotes(path, start):
            if suspicion(lines) or (b"\r" in lines and any(b"\r" in text for text in outside)):
                return None
            total += lines.count(b",") - b"".join(inside).count(b",")
    except _MisplacedQuoteError:
        return None
    return total


class _MisplacedQuoteError(Exception):
    """A quote stands neither at the edge of a cell, nor doubled, nor closes what another opened."""


def _split_by_quotes(path: Path, start: int) -> Iterator[tuple[bytes, list[bytes], list[bytes]]]:
    """Yield some lines at a time, with the pieces of them outside quotes, and those inside.

    Of two quotes that stand for one, the second one opens again what the first one closed: there is
    an empty piece between them.

    Raises:
        _MisplacedQuoteError: See there.
    """
    is_open = False
    for lines in _whole_lines(path, start):
        if len(lines) > MAX_LINE:  # which may be all quotes, of which each would be a piece
            raise _MisplacedQuoteError
        parts = lines.split(QUOTE)
        outside, inside = parts[is_open::2], parts[not is_open :: 2]
        if not is_open:
            outside[0] = outside[0] or b"\n"  # no quote, but a line end stands before the lines
        behind_quotes = itertools.islice(outside, not is_open, None)
        if not _EDGES.issuperset(map(_FIRST, behind_quotes)):
            raise _MisplacedQuoteError
        if not _EDGES.issuperset(map(_LAST, outside)):
            raise _MisplacedQuoteError
        is_open ^= len(parts) % 2 == 0
        yield lines, outside, inside
    if is_open:
        raise _MisplacedQuoteError


def _whole_lines(path: Path, start: int) -> Iterator[bytes]:
    """Yield the file from byte `start` in pieces that end with a line end, all of them."""
    size = _BLOCK
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(size):
            if end := block.rfind(b"\n") + 1 or block.rfind(b"\r") + 1:
                yield block[:end]
                size = _BLOCK
            elif len(block) < size:
                yield block + b"\n"
                return
            else:
                size *= 2
            file.seek(end - len(block), os.SEEK_CUR)


def ends_with_newline(path: Path) -> bool:
    """Tell whether the last byte of the file is a line end."""
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) in b"\r\n"


@dataclass(frozen=True)
class Record:
    """One record of a file, be it the header or a row."""

    line: int
    """Where it begins, counted from 1."""
    cells: Sequence[Cell]
    newline: bytes
    """What ends it; empty at the end of the file."""
    end: int
    """Offset in bytes of what comes after it."""


def records(path: Path) -> Iterator[Record]:
    """Read a file by the rules, one record in memory at a time.

    Raises:
        FileError: A record breaks the rules, or has more than `MAX_RECORD` bytes or `MAX_CELLS`
            cells.
    """
    with path.open("rb") as file:
        window = _Window(path, file)
        line = 1
        while not window.is_at_end():
            cells: list[Cell] = []
            start = window.at
            end = b","
            while end == b",":
                cell, end = window.cell(line, start)
                cells.append(cell)
                if len(cells) > MAX_CELLS:
                    problem = f"has a record of more than {MAX_CELLS} cells."
                    raise FileError(path, problem, line=line)
            yield Record(line, cells, end, window.offset + window.at)
            line += _newlines(window.data[start : window.at])


def rows(path: Path, *, is_told: bool = False) -> Iterator[Record]:
    """Read the header of a file and its rows, without blank lines; all have as many cells.

    A header that stands between the rows again is left out and named: files were joined.

    Args:
        path: The file.
        is_told: Whether it was named before.

    Raises:
        FileError: As `records`; or a row has more or fewer cells than the header, or is not UTF-8.
    """
    header: Sequence[Cell] = ()
    width = 0
    for record in records(path):
        width = width or len(record.cells)
        if width >= FEWEST_NAMES and _is_header(record.cells, header):
            if not is_told:
                logger.warning(
                    "Line %d of the file '%s' is the header again, as where files were joined: "
                    "such lines are left out.",
                    record.line,
                    path.name,
                )
            is_told = True
            continue
        header = header or record.cells
        if width > 1 and record.cells == [None]:
            continue  # a blank line holds no cell
        if len(record.cells) != width:
            raise FileError(
                path,
                f"has {len(record.cells)} cells where the header has {width}. The file is damaged"
                " or cut off; fetch it again.",
                line=record.line,
            )
        for cell in record.cells:
            _text(path, cell, record.line)
        yield record


def _is_header(cells: Sequence[Cell], header: Sequence[Cell]) -> bool:
    """Tell whether a row is the header, with a byte order mark or without."""
    return (
        bool(header)
        and (cells[0] or b"").removeprefix(BOM) == header[0]
        and cells[1:] == header[1:]
    )


def write_row(cells: Sequence[Cell]) -> bytes:
    """Write one row; None is null."""
    return b",".join(map(_written, cells)) + b"\n"


def _written(cell: Cell) -> bytes:
    if cell is None:
        return b""
    if not cell or _SPECIAL.search(cell) or cell[:1] == b" " or cell[-1:] == b" ":
        return QUOTE + cell.replace(QUOTE, b'""') + QUOTE
    return cell


class _Window:
    """The part of a file that holds the record which is being read."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self.data = file.read(max(_WINDOW, len(BOM)))
        self.at = len(BOM) if self.data[:3] == BOM else 0
        self.offset = 0
        """Where `data` begins in the file."""
        self._is_whole = False

    def is_at_end(self) -> bool:
        """Whether nothing is left; a record starts at `at`, and what is before it may go."""
        if self.at > max(_WINDOW, len(self.data) // 2) or self.at == len(self.data):
            self.data, self.offset = self.data[self.at :], self.offset + self.at
            self.at = 0
        return self.at == len(self.data) and not self._more()

    def cell(self, line: int, start: int) -> tuple[Cell, bytes]:
        """Take the next cell of the record that starts at `start`, and what ends it."""
        while True:
            found = _CELL.match(self.data, self.at)
            # What ends the window may go on after it: a cell, a quote, the line end \r\n.
            if (found is None or found.end() == len(self.data)) and self._more():
                continue
            if (found.end() if found else len(self.data)) - start > MAX_RECORD:
                problem = f"has a record of more than {MAX_RECORD} bytes."
                raise FileError(self._path, problem, line=line)
            if found is None:
                raise self._malformed(line + _newlines(self.data[start : self.at]))
            inside, bare, end = found.groups()
            self.at = found.end()
            return (inside.replace(b'""', QUOTE) if inside is not None else bare or None), end

    def _more(self) -> bool:
        """Read as much again as there is, so that a long record is looked at a few times only."""
        if self._is_whole or len(self.data) - self.at > MAX_RECORD + _WINDOW:
            return False
        block = self._file.read(max(len(self.data), _WINDOW))
        self._is_whole = not block
        self.data += block
        return bool(block)

    def _malformed(self, line: int) -> FileError:
        if _QUOTED.match(self.data, self.at) is None:
            problem = "opens a quote that is never closed. The file is cut off; fetch it again."
        else:
            problem = "has text after a closing quote, which CSV does not allow."
        return FileError(self._path, problem, line=line)


def _newlines(part: bytes) -> int:
    return part.count(b"\n") + part.count(b"\r") - part.count(b"\r\n")


def _text(path: Path, cell: Cell, line: int) -> str | None:
    if cell is None:
        return None
    try:
        return cell.decode()
    except UnicodeDecodeError:
        raise FileError(path, "is not valid UTF-8.", line=line) from None
