"""A file is rewritten where the database cannot read it as it is, or must not.

The database reads most files as they are. It does not account for every byte of some, and takes too
much memory for others, with long cells or very many unknown columns; and in a few there is what
must not leave with the rows: signed links, and hashed names in JSON texts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tap_autodesk_exports.files.csv_dialect import rows, write_row
from tap_autodesk_exports.tables import links, long_cells, nested
from tap_autodesk_exports.tables.long_cells import MARK, LongCells
from tap_autodesk_exports.tables.types import LONGEST_VALUE, Type

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tap_autodesk_exports.files.csv_dialect import Header
    from tap_autodesk_exports.tables.layout import HeaderMatch, TableSchema

    Cell = bytes | None

_MARK = MARK.encode()
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}|\\.")


class Cleaner:
    """Rewrites one file.

    Args:
        path: The file.
        schema: Says which values are hashed.
        header: Its header.
        match: Which cell belongs to which column.
        folder: Where to write; nothing is removed from it.
    """

    def __init__(
        self, path: Path, schema: TableSchema, header: Header, match: HeaderMatch, folder: Path
    ) -> None:
        self._path = path
        self._schema = schema
        self._match = match
        self._folder = folder
        self._names = match.names
        self._header = header.line(path)
        self._hashed = [schema.is_hashed(name) for name in self._names]
        self._is_text = [schema.types.get(name, Type.STRING).is_text for name in self._names]
        self._folded = [(at, _json(self._names[at])) for at in match.folded]
        self.long_cells = LongCells(folder / "long-cells")
        self.links: set[str] = set()
        """Columns in which signed links were found."""

    @property
    def must_rewrite(self) -> bool:
        """Whether the file has too many unknown columns to be read as it is."""
        return self._match.rest is not None

    def is_suspicious(self, lines: bytes) -> bool:
        """Tell whether some lines may hold what must not leave as it is, or the header again."""
        if self._header is not None and self._header in lines:
            return True
        if links.may_hold_signature(lines):
            return True
        return self._schema.hashing is not None and nested.may_hold_names(lines)

    def rewrite(self) -> tuple[Path, int]:
        """Write the file in the form that the database reads exactly, and in little memory.

        The form: LF, quotes where needed, no byte order mark, and other names in the header, as
        DuckDB misreads rows below a header with a line end in it (observed).

        Returns:
            The new file, and the number of its rows.

        Raises:
            FileError: Names the first line that breaks the rules of the dialect.
        """
        target = self._folder / "rewritten.csv"
        count = -1
        with target.open("wb") as out:
            for record in rows(self._path):
                if count >= 0:
                    out.write(write_row(self._row(record.cells)))
                else:
                    width = self._match.width
                    out.write(write_row([b"c%d" % at for at in range(width)]))
                count += 1
        return target, count

    def _row(self, cells: Sequence[Cell]) -> list[Cell]:
        match = self._match
        if match.rest is None:
            return [cell and self._clean(at, cell) for at, cell in enumerate(cells)]
        kept = [cells[at] and self._clean(at, cells[at] or b"") for at in match.kept]
        return [*kept, self._rest(cells)]

    def _rest(self, cells: Sequence[Cell]) -> Cell:
        """Return the values of all unknown columns, as the members of a JSON object."""
        members = []
        for at, name in self._folded:
            cell = cells[at]
            if cell is not None:
                text = self._without_secrets(at, cell.decode())
                text = self._hash(text) if self._hashed[at] else text
                members.append(f"{name}:{_json(text)}")
        rest = ",".join(members).encode()
        if len(rest) > long_cells.LONG or _MARK in rest:
            return self.long_cells.keep(rest)
        return rest or None

    def _clean(self, at: int, cell: bytes) -> bytes:
        """Return what takes the place of a cell."""
        if self.is_suspicious(cell):
            cell = self._without_secrets(at, cell.decode()).encode()
        most = long_cells.LONG if self._is_text[at] else LONGEST_VALUE
        if len(cell) <= most and _MARK not in cell:
            return cell
        hashed = self._hash(cell.decode()).encode() if self._hashed[at] else None
        return self.long_cells.keep(cell, hashed)

    def _without_secrets(self, at: int, text: str) -> str:
        cleaned = links.without_signatures(text)
        if cleaned != text:
            self.links.add(self._names[at])
        hashing = self._schema.hashing
        if hashing and not self._hashed[at]:
            return nested.hash_nested(cleaned, hashing, self._schema.is_hashed)
        return cleaned

    def _hash(self, text: str) -> str:
        hashing = self._schema.hashing
        return hashing.of(text) if hashing else text


def _json(text: str) -> str:
    """Return a text as JSON, letter for letter as DuckDB writes it: rows are sorted by it."""
    found = json.dumps(text, ensure_ascii=False)
    if "\\u" not in found:
        return found
    return _ESCAPE.sub(lambda escape: escape[0][:2] + escape[0][2:].upper(), found)
