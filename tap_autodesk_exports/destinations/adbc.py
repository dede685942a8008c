"""Databases with an ADBC driver as destinations: rows come in Arrow's form, by bulk ingest."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import re
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.destinations.destination import DestinationError, opened
from tap_autodesk_exports.destinations.layout import identifier, literal
from tap_autodesk_exports.destinations.sql_store import Dialect, SqlStore, put_state, state_of
from tap_autodesk_exports.destinations.storage import prepare_file
from tap_autodesk_exports.tables.numbers import ParquetNumbers
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_autodesk_exports.destinations.layout import Layout
    from tap_autodesk_exports.tables.engine import Engine

_TEXT = ParquetNumbers()
_LOCK = zlib.crc32(b"autodesk-exports export") >> 1
"""A number that no other program takes a lock on, of 31 bits."""


@dataclasses.dataclass(frozen=True)
class Driver:
    """A database that has an ADBC driver.

    Attributes:
        extra: Name of the extra that installs the driver, `adbc_driver_<extra>` but for PostgreSQL.
        module: Name of the driver's package.
        dialect: Its SQL.
        schema: Query for the schema in which tables are made.
        columns: Query for names and types of a table's columns; takes schema and table.
        lock: Query that tells whether no other export is under way; empty where there is no lock.
        longest_name: Bytes that the name of a column may have.
    """

    extra: str
    module: str
    dialect: Dialect
    schema: str
    columns: Callable[[str, str], str]
    lock: str = ""
    longest_name: int = 250
    connect: Callable[[str], str] = str


def _information_schema(schema: str, table: str) -> str:
    return (
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema ="
        f" {literal(schema)} AND table_name = {literal(table)} ORDER BY ordinal_position"
    )


def _pragma(schema: str, table: str) -> str:  # noqa: ARG001
    return f"SELECT name, type FROM pragma_table_info({literal(table)})"


_WRITTEN_TYPES = frozenset(
    {Type.NUMBER, Type.DATE, Type.TIME, Type.TIME_TEXT, Type.TIMESTAMP, Type.STRING, Type.UUID}
)
POSTGRES = Driver(
    "postgres",
    "adbc_driver_postgresql",
    Dialect(
        {
            Type.STRING: "text",
            Type.UUID: "text",
            Type.TIME_TEXT: "text",
            Type.NUMBER: "numeric",
            Type.INTEGER: "bigint",
            Type.BOOLEAN: "boolean",
            Type.DATE: "date",
            Type.TIME: "time without time zone",
            Type.TIMESTAMP: "timestamp with time zone",
        },
        unlimited=True,
    ),
    "SELECT coalesce(current_schema(), 'public')::text",
    _information_schema,
    f"SELECT pg_try_advisory_lock({_LOCK}, hashtext(%s))",
    longest_name=63,
)
SQLITE = Driver(
    "sqlite",
    "adbc_driver_sqlite",
    Dialect(
        {
            **dict.fromkeys(_WRITTEN_TYPES, "TEXT"),
            Type.INTEGER: "INTEGER",
            Type.BOOLEAN: "BOOLEAN",
        },
        as_text=_WRITTEN_TYPES,
        keyed=False,
    ),
    "SELECT 'main'",
    _pragma,
    connect=lambda address: address.removeprefix("sqlite:///"),
)
SNOWFLAKE = Driver(
    "snowflake",
    "adbc_driver_snowflake",
    Dialect(
        {
            Type.STRING: "TEXT",
            Type.UUID: "TEXT",
            Type.TIME_TEXT: "TEXT",
            Type.NUMBER: "TEXT",
            Type.INTEGER: "NUMBER",
            Type.BOOLEAN: "BOOLEAN",
            Type.DATE: "DATE",
            Type.TIME: "TIME",
            Type.TIMESTAMP: "TIMESTAMP_TZ",
        },
        as_text=frozenset({Type.NUMBER}),
        keyed=False,
    ),
    "SELECT current_schema()",
    _information_schema,
    connect=lambda address: address.removeprefix("snowflake://"),
)
BIGQUERY = Driver(
    "bigquery",
    "adbc_driver_bigquery",
    Dialect(
        {
            Type.STRING: "STRING",
            Type.UUID: "STRING",
            Type.TIME_TEXT: "STRING",
            Type.NUMBER: "BIGNUMERIC",
            Type.INTEGER: "INT64",
            Type.BOOLEAN: "BOOL",
            Type.DATE: "DATE",
            Type.TIME: "TIME",
            Type.TIMESTAMP: "TIMESTAMP",
        },
        unlimited=True,
        keyed=False,
    ),
    "SELECT @@dataset_id",
    _information_schema,
)


class AdbcDestination:
    """A database behind an ADBC driver.

    Args:
        driver: The driver.
        address: Where the database is; it may hold a password.
        title: The same without a password.
        schema: Schema of the tables, made where it is missing; None: the connection's own.
    """

    holds_one = False
    holds_loads = False

    def __init__(self, driver: Driver, address: str, title: str, schema: str | None = None) -> None:
        self.title = title
        self.longest_name = driver.longest_name
        self._driver = driver
        self._address = address
        self._schema = schema
        self.engine: Engine | None = None
        self._connection: _Connection | None = None

    def open(self) -> None:
        """Connect; where the database has such locks, no other export can meanwhile."""
        if self._driver is SQLITE:
            prepare_file(Path(SQLITE.connect(self._address)))
        self._connection = connection = self._connect()
        try:
            self._prepare(connection)
        except BaseException:
            self.close()
            raise

    def _prepare(self, connection: _Connection) -> None:
        if self._schema:
            with connection.transaction():
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(self._schema)}")
        if lock := self._driver.lock:
            query = lock.replace("%s", literal(connection.schema))
            if connection.rows(query) != [(True,)]:
                msg = f"Another export is writing into {self.title}: wait until it has ended."
                raise DestinationError(msg)

    def _connect(self) -> _Connection:
        try:
            dbapi: Any = importlib.import_module(f"{self._driver.module}.dbapi")
        except ModuleNotFoundError:
            msg = (
                f"An export into {self.title} needs its driver: install "
                f"'tap-autodesk-exports[{self._driver.extra}]'."
            )
            raise DestinationError(msg) from None
        with contextlib.ExitStack() as undo:
            try:
                made = dbapi.connect(self._driver.connect(self._address))
                connection = _Connection(made, self._driver, self.title)
                undo.callback(connection.close)
                connection.schema = self._schema or connection.default_schema()
            except _errors() as error:
                msg = (
                    f"{self.title} cannot be reached ({_reason(error)}): check the address, the "
                    "user and the password."
                )
                raise DestinationError(msg) from None
            undo.pop_all()
        return connection

    @property
    def _opened(self) -> _Connection:
        return opened(self._connection)

    def close(self) -> None:
        """Disconnect."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def read_state(self) -> str | None:
        """Return the state."""
        if self._connection:
            return state_of(self._connection)
        with contextlib.closing(self._connect()) as connection:
            return state_of(connection)

    def write_state(self, text: str) -> None:
        """Keep a state."""
        with self._opened.transaction():
            put_state(self._opened, text)

    def numbers(self, wanted: ParquetNumbers) -> ParquetNumbers:  # noqa: ARG002
        """As text, from which the database makes its own numbers."""
        return _TEXT

    def existing(
        self, stream: str, wanted: Mapping[str, Type], numbers: ParquetNumbers
    ) -> dict[str, Type]:
        """Return the types of the columns that a table has."""
        found = self._opened.columns(stream)
        return self._driver.dialect.existing(stream, found, wanted, numbers)

    def store(self, layout: Layout) -> SqlStore:
        """Return the table of a stream."""
        self._opened.engine = self.engine
        return SqlStore(self._opened, layout)


class _Connection:
    """A connection, without the parts of the drivers' interface that need pyarrow.

    Threads that note exports write the state while rows are loaded: one transaction at a time.
    """

    def __init__(
        self,
        connection: Any,  # noqa: ANN401 - drivers have no types
        driver: Driver,
        title: str,
    ) -> None:
        self.title = title
        self.dialect = driver.dialect
        self.schema = ""
        self._connection = connection
        self._driver = driver
        self.engine: Engine | None = None
        self._lock = threading.RLock()
        self._is_changing = False

    def execute(self, statement: str) -> None:
        """Run a statement."""
        with self._lock, self._connection.cursor() as cursor:
            cursor.adbc_statement.set_sql_query(statement)
            cursor.adbc_statement.execute_update()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a small query.

        Raises:
            DestinationError: The database does not answer it.
        """
        try:
            with self._lock:
                return self._rows(query)
        except _errors() as error:
            msg = (
                f"{self.title} cannot be read ({_reason(error)}): check that it is there, and that "
                "the user may read and write the tables."
            )
            raise DestinationError(msg) from None

    def default_schema(self) -> str:
        """Return the schema in which tables are made where none is named."""
        return str(self._rows(self._driver.schema)[0][0])

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        import nanoarrow  # type: ignore[import-untyped]  # noqa: PLC0415

        with self._connection.cursor() as cursor:
            cursor.adbc_statement.set_sql_query(query)
            stream, _ = cursor.adbc_statement.execute_query()
            found = [tuple(row.values()) for row in nanoarrow.Array(stream).to_pylist()]
        if not self._is_changing:
            self._connection.commit()  # an open transaction would keep what others remove
        return found

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        with self._lock:
            self._is_changing = True
            try:
                yield
                self._connection.commit()
            except BaseException as error:
                with contextlib.suppress(*_errors()):
                    self._connection.rollback()
                if isinstance(error, _errors()):
                    msg = (
                        f"{self.title} did not take the rows ({_reason(error)}), so nothing of the "
                        "load was kept. See what it refuses, and run again."
                    )
                    raise DestinationError(msg) from None
                raise
            finally:
                self._is_changing = False

    def table(self, name: str) -> str:
        """Return the SQL of a kept table."""
        return f"{identifier(self.schema)}.{identifier(name)}"

    def columns(self, table: str) -> dict[str, str]:
        """Return name -> SQL type of a table's columns."""
        return dict(self.rows(self._driver.columns(self.schema, table)))

    def stage(self, name: str, pieces: Sequence[Path], outputs: Sequence[str]) -> None:
        """Ingest rows into a temporary table."""
        engine = opened(self.engine)
        files = ", ".join(literal(str(piece)) for piece in pieces)
        with contextlib.closing(engine.connection()) as database, self.transaction():
            relation = database.sql(
                f"SELECT {', '.join(outputs)} FROM read_parquet([{files}],"
                " hive_partitioning = false)"
            )
            with self._connection.cursor() as cursor:
                cursor.adbc_ingest(name, relation, mode="create", temporary=True)

    def unstage(self, name: str) -> None:
        """Drop the temporary table."""
        with self.transaction():
            self.execute(f"DROP TABLE {name}")

    def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(*_errors()):
            self._connection.close()


def _errors() -> tuple[type[Exception], ...]:
    from adbc_driver_manager import Error  # noqa: PLC0415 - only with the extra of a driver

    return (Error,)


_VALUES = re.compile(r"\"[^\"]*\"|'[^']*'|\([^)]*\)=\([^)]*\)")


def _reason(error: BaseException) -> str:
    """Return why a driver failed, without what could be a value of a row or a password."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    first = re.sub(r"\.? SQLSTATE:.*| Query was:.*", "", lines[0] if lines else "")
    return _VALUES.sub("…", first)[:200].rstrip(". ")
