"""Long cells are kept out of the database: it handles 2048 rows at a time, whatever their size.

While a file is rewritten, each long cell goes into a file beside it, and a mark of fixed length
takes its place. The mark passes through every query as any text does, and is replaced by the cell
when the row leaves.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = 16 << 10
"""Bytes above which a cell is long; its SHA-256 stands for it in `_row_id` then, in every file."""
MARK = "\ue0a1long-cell:"
"""What a mark begins with: a character for private use. The SHA-256 of the cell comes after it."""
RESCUED_MARK = "\ue0a1rescued-cell:"
"""What a mark begins with that stands for the cell as a JSON text."""
NAME_LENGTH = len(MARK) + 64
"""Characters of a mark up to the end of the SHA-256."""

_PATTERN = "\ue0a1(long|rescued)-cell:[0-9a-f]{64}:([0-9]+):([0-9]+);"
_IN_TEXT, _IN_BYTES = re.compile(_PATTERN), re.compile(_PATTERN.encode())
_BLOCK = 1 << 20
_CHUNK = 4 << 20
"""Bytes of whole lines that are handed on together."""


@dataclass(frozen=True)
class Mark:
    """A mark that was found."""

    text: str
    start: int
    """Where the cell is in the file of cells."""
    length: int
    """Bytes of the cell."""
    is_rescued: bool
    """Whether the mark stands for the cell as a JSON text, without its quotes."""


def marks_in(text: str) -> list[Mark]:
    """Return the marks in a text."""
    return [
        Mark(found[0], int(found[2]), int(found[3]), found[1] == "rescued")
        for found in _IN_TEXT.finditer(text)
    ]


class LongCells:
    """The long cells of one file.

    Args:
        path: Where to keep them; the file is made with the first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: dict[tuple[bytes, bool], bytes] = {}
        self._end = 0

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._marks)

    def keep(self, cell: bytes, hashed: bytes | None = None) -> bytes:
        """Keep a cell, and return the mark that takes its place; equal cells have the same.

        Args:
            cell: What the cell holds.
            hashed: Its hash, where that must replace the mark.
        """
        digest = hashlib.sha256(cell)
        key = (digest.digest(), hashed is None)
        if key not in self._marks:
            shown = cell if hashed is None else hashed
            with self._path.open("ab") as file:
                file.write(shown)
            mark = f"{MARK}{digest.hexdigest()}:{self._end}:{len(shown)};"
            self._marks[key] = mark.encode()
            self._end += len(shown)
        return self._marks[key]

    def texts(self, mark: Mark) -> Iterator[str]:
        """Yield what a mark stands for, in pieces."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        with self._path.open("rb") as file:
            file.seek(mark.start)
            left = mark.length
            while left:
                block = file.read(min(left, _BLOCK))
                left -= len(block)
                text = decoder.decode(block)
                yield _in_json(text) if mark.is_rescued else text

    def expand(self, lines: Iterator[Lines]) -> Iterator[Lines]:
        """Put the cells into lines of JSON; lines with long cells are handed on a few at a time."""
        for chunk in lines:
            if not _IN_BYTES.search(chunk.text):
                yield chunk
                continue
            out, count = bytearray(), 0
            for line in chunk.text.split(b"\n")[:-1]:
                self._write(out, line)
                count += 1
                if len(out) > _CHUNK:
                    yield Lines(bytes(out), count)
                    out, count = bytearray(), 0
            if count:
                yield Lines(bytes(out), count)

    def _write(self, out: bytearray, line: bytes) -> None:
        at = 0
        for found in _IN_BYTES.finditer(line):
            out += line[at : found.start()]
            for mark in marks_in(found[0].decode()):
                for text in self.texts(mark):
                    out += _in_json(text).encode()
            at = found.end()
        out += line[at:] + b"\n"


def _in_json(text: str) -> str:
    """Write a text as part of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
