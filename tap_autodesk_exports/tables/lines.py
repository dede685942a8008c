"""The result of a query of text lines, taken from DuckDB in large pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_FEW = 10_000
"""Rows up to which it is quicker to take a Python object for each."""
_CHUNK = 2048


@dataclass(frozen=True, slots=True)
class Lines:
    """Some whole lines."""

    text: bytes
    count: int

    def cut(self, count: int) -> tuple[Lines, Lines]:
        """Return the first `count` lines and the others."""
        if count >= self.count:
            return self, Lines(b"", 0)
        end = len(self.text) - len(self.text.split(b"\n", count)[count])
        return Lines(self.text[:end], count), Lines(self.text[end:], self.count - count)


def fetch(database: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[Lines]:
    """Run a query whose only column holds a line, with its line feed, in each row.

    Args:
        database: Where to run it.
        query: The query.
        rows: About how many rows it gives.
    """
    if rows > _FEW:
        import nanoarrow  # type: ignore[import-untyped]  # noqa: PLC0415 - only where it is needed

        # In an Arrow array the texts of all rows stand one behind the other, ready to be written.
        with nanoarrow.c_array_stream(database.sql(query)) as arrays:
            for array in arrays:
                text = memoryview(array.view().child(0).buffer(2))
                yield Lines(bytes(text), array.length)
    else:
        result = database.execute(query)
        try:
            while lines := result.fetchmany(_CHUNK):
                yield Lines("".join([line for (line,) in lines]).encode(), len(lines))
        finally:
            database.abort()  # nothing, unless nobody wanted the rest
