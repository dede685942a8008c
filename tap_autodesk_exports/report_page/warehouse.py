"""Reading the marts, from a DuckDB file or from PostgreSQL."""

from __future__ import annotations

import contextlib
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.tables.database_file import why_unopened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Value = str | int | float | bool | None
    Row = dict[str, Value]
    Execute = Callable[[str, tuple[str, ...]], Any]

_EXTENSIONS = ("autoinstall_known_extensions", "autoload_known_extensions")
BUILD = "Run `dbt build` with this project's dbt package on it first."


class Marts:
    """The marts of a warehouse.

    Attributes:
        names: The tables of the schema.
    """

    def __init__(self, execute: Execute, prefix: str, schema: str) -> None:
        self._execute = execute
        self._prefix = prefix
        found = self.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", schema
        )
        self.names = frozenset(str(row["table_name"]) for row in found)

    def rows(self, query: str, *values: str) -> list[Row]:
        """Return the rows of a query as column -> value.

        `{name}` in the query is the mart of that name, `?` the next of the values. Dates are
        ISO 8601 texts, numbers are int or float: what a page can show.
        """
        cursor = self._execute(query.format_map(_Qualified(self._prefix)), values)
        columns = [column[0] for column in cursor.description]
        return [
            {name: _shown(value) for name, value in zip(columns, row, strict=True)}
            for row in cursor.fetchall()
        ]


class _Qualified(dict[str, str]):
    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, name: str) -> str:
        return f"{self._prefix}.{name}"


def _shown(value: Any) -> Value:  # noqa: ANN401
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dt.datetime():
            return value.isoformat(sep=" ", timespec="minutes")
        case dt.date():
            return value.isoformat()
        case None | str() | int() | float():
            return value
        case _:
            return str(value)


@contextlib.contextmanager
def connect(address: str, schema: str) -> Iterator[Marts]:
    """Open a warehouse for reading.

    Args:
        address: A DuckDB file, or a postgresql:// URL.
        schema: Schema of the marts.

    Raises:
        ConfigurationError: There is no such warehouse, or it has no marts.
        TapError: It could not be read.
    """
    is_postgres = address.startswith(("postgresql://", "postgres://"))
    with _postgres(address) if is_postgres else _duckdb(address) as (execute, database):
        quoted = '"' + schema.replace('"', '""') + '"'
        marts = Marts(execute, f"{database}{quoted}", schema)
        if not marts.names:
            shown = "The PostgreSQL database" if is_postgres else f"The warehouse {address}"
            msg = f"{shown} has no schema '{schema}' with marts. {BUILD}"
            raise ConfigurationError(msg)
        yield marts


@contextlib.contextmanager
def _duckdb(address: str) -> Iterator[tuple[Execute, str]]:
    """Attach the file under a fixed name: one that is called like its schema is ambiguous."""
    path = Path(address)
    if not _is_file(path):
        msg = f"There is no warehouse {address}: load data into it, or give its path."
        raise ConfigurationError(msg)
    # A file of another kind would have DuckDB download what reads it.
    with duckdb.connect(config=dict.fromkeys(_EXTENSIONS, False)) as connection:
        try:
            quoted = address.replace("'", "''")
            connection.execute(f"ATTACH '{quoted}' AS warehouse (TYPE duckdb, READ_ONLY)")
            connection.execute("USE warehouse")
        except duckdb.Error as error:
            msg = f"The warehouse {address} could not be opened: {why_unopened(path, error)}"
            raise TapError(msg) from None
        yield connection.execute, "warehouse."


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


@contextlib.contextmanager
def _postgres(address: str) -> Iterator[tuple[Execute, str]]:
    import psycopg  # noqa: PLC0415 - only where it is needed

    try:
        connection = psycopg.connect(address)
    except psycopg.Error as error:
        # The message may repeat the address, and so its password.
        msg = (
            f"The PostgreSQL warehouse could not be reached ({type(error).__name__}): check host, "
            "database and user of the address."
        )
        raise TapError(msg) from None
    with connection:

        def execute(query: str, values: tuple[str, ...]) -> Any:  # noqa: ANN401
            written = query.replace("%", "%%").replace("?", "%s")
            return connection.execute(written.encode(), values)

        yield execute, ""
