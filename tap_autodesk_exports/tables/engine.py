"""The DuckDB that reads the tables of a process: one for all, as starting it costs 25 ms of CPU."""

from __future__ import annotations

import contextlib
import ctypes
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.cells import quoted, typed
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import duckdb

MOST_MEMORY = 256 << 20
"""Bytes for what cannot be done in less, such as long rows; DuckDB uses the disk beyond that."""
_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's mallopt."""
_STEP = 16 << 20
"""Memory is allowed in whole steps of so many bytes, as to change the limit takes a millisecond."""


class Engine:
    """A DuckDB in memory, started with the first table.

    Args:
        folder: Where tables put temporary files, and DuckDB what exceeds the memory.
        memory_limit: Bytes that DuckDB may take for a table of ordinary rows.
    """

    def __init__(self, folder: Path, memory_limit: int = 96 << 20) -> None:
        limit_arenas()
        self.folder = folder
        self._memory_limit = memory_limit
        self._database: duckdb.DuckDBPyConnection | None = None
        self._allowed = memory_limit
        self._canonical: dict[tuple[Type, str], str] = {}

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a new connection; what is made in it must be TEMP."""
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
                message = f"The value of '{name}' is not a {type_.value}."
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
                    # Without it, a Parquet column is "not null" where its values happen to be so.
                    "disabled_optimizers": "statistics_propagation",
                }
            )
        return self._database


def limit_arenas() -> None:
    """Let threads share their memory, where the address space of the process is limited.

    glibc reserves 64 MB of address space for each thread that asks for memory, which takes 700 of
    1000 MB (measured). Elsewhere, nothing is done.
    """
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import resource  # noqa: PLC0415 - not on Windows

        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def one_row(database: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Run a query that gives one row, and leave no result open."""
    (row,) = database.execute(query).fetchall()
    return tuple(row)
