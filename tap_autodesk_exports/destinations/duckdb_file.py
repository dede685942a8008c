"""A DuckDB file as a destination."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.destinations.destination import DestinationError, opened
from tap_autodesk_exports.destinations.layout import identifier, literal
from tap_autodesk_exports.destinations.sql_store import Dialect, SqlStore, put_state, state_of
from tap_autodesk_exports.destinations.storage import prepare_file
from tap_autodesk_exports.tables.database_file import why_unopened
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.destinations.layout import Layout
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.numbers import ParquetNumbers

DIALECT = Dialect(
    {
        Type.STRING: "VARCHAR",
        Type.UUID: "VARCHAR",
        Type.TIME_TEXT: "VARCHAR",
        Type.NUMBER: "DECIMAL(38,10)",
        Type.INTEGER: "BIGINT",
        Type.BOOLEAN: "BOOLEAN",
        Type.DATE: "DATE",
        Type.TIME: "TIME",
        Type.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    },
    # Its index would have to be in memory as a whole.
    keyed=False,
)
MEMORY = 128 << 20


class DuckDBFile:
    """A DuckDB file.

    Args:
        path: The file.
        schema: Schema of the tables; None: the default one.
    """

    dialect = DIALECT
    holds_one = False
    holds_loads = False
    longest_name = 1000

    def __init__(self, path: Path, schema: str | None = None) -> None:
        self.title = str(path)
        self._path = path
        self._schema = schema or "main"
        self.engine: Engine | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.RLock()

    def open(self) -> None:
        """Open the file, which no other process can open meanwhile."""
        prepare_file(self._path)
        self._connection = self._connect()
        if self._schema != "main":
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(self._schema)}")

    def _connect(self, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        import duckdb  # noqa: PLC0415 - takes a third of a second

        config: dict[str, Any] = {
            "memory_limit": f"{MEMORY} bytes",
            "threads": 2,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        try:
            return duckdb.connect(str(self._path), read_only=read_only, config=config)
        except duckdb.Error as error:
            msg = (
                f"The DuckDB file {self._path} cannot be opened: {why_unopened(self._path, error)}"
            )
            raise DestinationError(msg) from None

    @property
    def _open(self) -> duckdb.DuckDBPyConnection:
        return opened(self._connection)

    def close(self) -> None:
        """Close the file."""
        if self._connection:
            self._connection.close()
            self._connection = None

    # State

    def read_state(self) -> str | None:
        """Return the state; the file is not made for it."""
        if self._connection:
            return state_of(self)
        if not self._path.exists():
            return None
        self._connection = self._connect(read_only=True)
        try:
            return state_of(self)
        finally:
            self.close()

    def write_state(self, text: str) -> None:
        """Keep a state."""
        with self.transaction():
            put_state(self, text)

    # Tables

    def numbers(self, wanted: ParquetNumbers) -> ParquetNumbers:
        """As the setting says."""
        return wanted

    def existing(
        self, stream: str, wanted: Mapping[str, Type], numbers: ParquetNumbers
    ) -> dict[str, Type]:
        """Return the types of the columns that a table has."""
        return DIALECT.existing(stream, self.columns(stream), wanted, numbers)

    def store(self, layout: Layout) -> SqlStore:
        """Return the table of a stream."""
        return SqlStore(self, layout)

    def execute(self, statement: str) -> None:
        """Run a statement.

        Raises:
            DestinationError: It was refused.
        """
        import duckdb  # noqa: PLC0415

        try:
            with self._lock:
                self._open.execute(statement)
        except duckdb.Error as error:
            raise _refused(self.title, error) from None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Raises:
            DestinationError: The file does not answer it.
        """
        import duckdb  # noqa: PLC0415

        try:
            with self._lock:
                found: list[tuple[Any, ...]] = self._open.execute(query).fetchall()
        except duckdb.Error as error:
            msg = (
                f"{self.title} cannot be read ({_kind(error)} error): look whether somebody else "
                "has changed its tables, or name another file."
            )
            raise DestinationError(msg) from None
        return found

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        # One thread at a time: the connection has one transaction.
        with self._lock:
            try:
                self.execute("BEGIN")
                yield
                self.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(DestinationError):
                    self.execute("ROLLBACK")
                raise

    def table(self, name: str) -> str:
        """Return the SQL of a kept table."""
        return f"{identifier(self._schema)}.{identifier(name)}"

    def columns(self, table: str) -> dict[str, str]:
        """Return name -> SQL type of a table's columns."""
        found = self.rows(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name ="
            f" current_database() AND schema_name = {literal(self._schema)}"
            f" AND lower(table_name) = lower({literal(table)}) ORDER BY column_index"
        )
        return dict(found)

    def stage(self, name: str, pieces: Sequence[Path], outputs: Sequence[str]) -> None:
        """Let a name stand for the rows of the files, which are read when they are needed."""
        files = ", ".join(literal(str(piece)) for piece in pieces)
        self.execute(
            f"CREATE TEMP VIEW {name} AS SELECT {', '.join(outputs)} FROM read_parquet([{files}],"
            " hive_partitioning = false)"
        )

    def unstage(self, name: str) -> None:
        """Forget the name."""
        self.execute(f"DROP VIEW {name}")


def _refused(title: str, error: Exception) -> DestinationError:
    """Return the sentence for what DuckDB refused, without values of rows."""
    return DestinationError(
        f"{title} did not take the rows ({_kind(error)} error), so nothing of the load was kept. "
        "Look whether the disk is full or something else has the file open, and run again."
    )


def _kind(error: Exception) -> str:
    """Return what kind of an error it is: its text may hold values."""
    return type(error).__name__.removesuffix("Exception")
