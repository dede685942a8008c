"""The DuckDB that reads the tables of a process: one for all, as starting it costs 25 ms of CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.cells import quoted, typed
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import duckdb

MOST_MEMORY = 4 << 30
"""Bytes for what cannot be done in less, such as rows of many megabytes."""
_STEP = 16 << 20
"""Memory is allowed in whole steps of so many bytes, as to change the limit takes a millisecond."""


class Engine:
    """A DuckDB in memory, started with the first table.

    Args:
        folder: Where tables put temporary files, and DuckDB what exceeds the memory.
        memory_limit: Bytes that DuckDB may take for a table of ordinary rows.
    """

    def __init__(self, folder: Path, memory_limit: int = 96 << 20) -> None:
        self.folder = folder
        self._memory_limit = memory_limit
        self._database: duckdb.DuckDBPyConnection | None = None
        self._allowed = memory_limit
        self._canonical: dict[tuple[Type, str], str] = {}

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own; what is made in it must be TEMP."""
        return self._started().cursor()

    def allow(self, more: int) -> None:
        """Let DuckDB take so many bytes more than for ordinary rows."""
        self._limit(self._memory_limit + more // _STEP * _STEP)

    def allow_besides(self, more: int) -> None:
        """Let DuckDB take so many bytes more than it may take now, until the next `allow`."""
        self._limit(self._allowed + -(-more // _STEP) * _STEP)

    def _limit(self, limit: int) -> None:
        if limit != self._allowed:
            self._started().execute(f"SET memory_limit = '{limit} bytes'")
            self._allowed = limit

    def execute(self, database: duckdb.DuckDBPyConnection, statement: str) -> list[Any]:
        """Run a statement and return its rows; with the most memory, where less is not enough."""
        import duckdb  # noqa: PLC0415

        try:
            return database.execute(statement).fetchall()
        except duckdb.OutOfMemoryException:
            self.allow(MOST_MEMORY)
            return database.execute(statement).fetchall()

    def canonical(self, name: str, type_: Type, text: str) -> str:
        """Return the canonical text of a column's value that is not in a file.

        Raises:
            ValueError: It does not fit its type.
        """
        if type_ is Type.STRING:
            return text
        if (type_, text) not in self._canonical:
            query = f"SELECT {typed(quoted(text), type_)}"
            (found,) = one_row(self._started(), query)
            if found is None:
                message = f"The value {text!r} of '{name}' is no {type_.value}."
                raise ValueError(message)
            self._canonical[type_, text] = found
        return self._canonical[type_, text]

    def close(self) -> None:
        """Give back memory and disk."""
        if self._database:
            self._database.close()
            self._database = None

    def _started(self) -> duckdb.DuckDBPyConnection:
        import duckdb  # noqa: PLC0415 - takes a third of a second, which discovery need not spend

        if self._database is None:
            self._database = duckdb.connect(
                config={
                    "threads": 2,
                    "memory_limit": f"{self._allowed} bytes",
                    "temp_directory": str(self.folder / "duckdb"),
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "python_enable_replacements": False,
                    "arrow_large_buffer_size": True,
                }
            )
        return self._database


def one_row(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Run a query that gives one row, and leave no result open."""
    (row,) = database.execute(query).fetchall()
    return tuple(row)
