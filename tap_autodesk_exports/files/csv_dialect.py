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
import mmap
import os
import re
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOM = b"\xef\xbb\xbf"
QUOTE = b'"'
MAX_RECORD = 64 << 20
"""Bytes that one record may have."""
_BLOCK = 1 << 16
"""Bytes looked at together: as many as the processor's own memory holds."""
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


def read_header(path: Path) -> Header:
    """Read the first record of a CSV file.

    Raises:
        FileError: The file is empty, its first line is blank, or it is not UTF-8.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise FileError(path, "is empty (0 bytes). Ask for a new export.")
        with closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
            _, cells, newline, end = next(_rows(path, data), (1, [], b"", 0))
    if not any(cells):
        raise FileError(path, "does not begin with a header.", line=1)
    return Header(tuple((_text(path, cell, 1) or "") for cell in cells), newline, end)


def count_marks(path: Path, start: int) -> int | None:
    """Look at every quote character from byte `start`, the beginning of a row, to the end.

    Returns:
        How many of them are no part of a cell's text, as one of two within quotes is; None where
        one stands neither at the edge of a cell, nor doubled, nor closes what another one opened.
    """
    total = doubled = 0
    try:
        for _, outside, inside in _split_by_quotes(path, start):
            total += len(outside) + len(inside) - 1
            doubled += outside.count(b"")
    except _MisplacedQuoteError:
        return None
    return total - doubled


def count_commas(path: Path, start: int) -> int | None:
    """Count the commas between cells from byte `start`, the beginning of a row, to the end.

    Returns:
        Their number; None where a quote is misplaced, as in `count_marks`, or a line ends otherwise
        than by a line feed alone.
    """
    total = 0
    try:
        for lines, outside, inside in _split_by_quotes(path, start):
            if b"\r" in lines and any(b"\r" in text for text in outside):
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


def rewrite(path: Path, target: Path) -> int:
    """Read the whole file by the rules and write it in the form that DuckDB reads exactly.

    Args:
        path: A CSV file.
        target: The file to write: LF, quotes where needed, no byte order mark, and other names in
            the header, as DuckDB misreads rows below a header with a line end in it (observed).

    Returns:
        The number of rows, without the header.

    Raises:
        FileError: Names the first line that breaks the rules.
    """
    with (
        path.open("rb") as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data,
        target.open("wb") as out,
    ):
        width, count = 0, -1
        start = 0
        for line, cells, _, end in _rows(path, data):
            if end - start > MAX_RECORD:
                raise FileError(path, f"has a record of more than {MAX_RECORD} bytes.", line=line)
            start = end
            width = width or len(cells)
            if width > 1 and cells == [None]:
                continue  # a blank line holds no cell
            if len(cells) != width:
                raise FileError(
                    path,
                    f"has {len(cells)} cells where the header has {width}. The file is damaged or"
                    " cut off; fetch it again.",
                    line=line,
                )
            for cell in cells:
                _text(path, cell, line)
            is_header = count < 0
            out.write(write_row([b"c%d" % at for at in range(width)] if is_header else cells))
            count += 1
    return count


def write_row(cells: list[bytes | None]) -> bytes:
    """Write one row; None is null."""
    return b",".join(map(_written, cells)) + b"\n"


def _written(cell: bytes | None) -> bytes:
    if cell is None:
        return b""
    if not cell or _SPECIAL.search(cell) or cell[:1] == b" " or cell[-1:] == b" ":
        return QUOTE + cell.replace(QUOTE, b'""') + QUOTE
    return cell


def _rows(path: Path, data: mmap.mmap) -> Iterator[tuple[int, list[bytes | None], bytes, int]]:
    """Yield first line, cells, line end and end offset of each record."""
    position = len(BOM) if data[:3] == BOM else 0
    line = 1
    while position < len(data):
        cells: list[bytes | None] = []
        start = position
        end = b","
        while end == b",":
            found = _CELL.match(data, position)
            if found is None:
                raise _malformed(path, data, position, line + _newlines(data, start, position))
            inside, bare, end = found.groups()
            cells.append(inside.replace(b'""', QUOTE) if inside is not None else bare or None)
            position = found.end()
        yield line, cells, end, position
        line += _newlines(data, start, position)


def _malformed(path: Path, data: mmap.mmap, position: int, line: int) -> FileError:
    if _QUOTED.match(data, position) is None:
        problem = "opens a quote that is never closed. The file is cut off; fetch it again."
    else:
        problem = "has text after a closing quote, which CSV does not allow."
    return FileError(path, problem, line=line)


def _newlines(data: mmap.mmap, start: int, end: int) -> int:
    part = data[start:end]
    return part.count(b"\n") + part.count(b"\r") - part.count(b"\r\n")


def _text(path: Path, cell: bytes | None, line: int) -> str | None:
    if cell is None:
        return None
    try:
        return cell.decode()
    except UnicodeDecodeError:
        raise FileError(path, "is not valid UTF-8.", line=line) from None
