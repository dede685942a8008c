"""Tables of a database: staged rows go into them in one transaction, with the state."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING, Protocol

from tap_autodesk_exports.destinations.destination import STATE_NAME, DestinationError
from tap_autodesk_exports.destinations.layout import identifier, literal
from tap_autodesk_exports.destinations.state import forget_lost
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.tables.layout import PROVENANCE
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    from tap_autodesk_exports.destinations.layout import Layout
    from tap_autodesk_exports.tables.numbers import ParquetNumbers


@dataclasses.dataclass(frozen=True)
class Dialect:
    """What of SQL differs from one database to the next.

    Attributes:
        types: Type of a column -> its SQL type, as the database itself calls it.
        unlimited: Whether its numbers have any number of digits, so that rows come with text.
        as_text: Types whose values the database keeps as the text that RECORD messages show.
        keyed: Whether tables get a primary key.
    """

    types: Mapping[Type, str]
    unlimited: bool = False
    as_text: frozenset[Type] = frozenset()
    keyed: bool = True

    def sql_type(self, type_: Type, numbers: ParquetNumbers) -> str:
        """Return the SQL type of a column."""
        if type_ is Type.NUMBER and not numbers.digits:
            return self.types[Type.STRING]
        if type_ is Type.NUMBER and not self.unlimited and type_ not in self.as_text:
            return f"DECIMAL({numbers.digits},{numbers.scale})"
        return self.types[type_]

    def existing(
        self,
        table: str,
        found: Mapping[str, str],
        wanted: Mapping[str, Type],
        numbers: ParquetNumbers,
    ) -> dict[str, Type]:
        """Return the types of a table's columns; raises DestinationError at a strange one."""
        types = {sql.lower(): type_ for type_, sql in reversed([*self.types.items()])}
        existing = {}
        for name, sql in found.items():
            if name in wanted and self.sql_type(wanted[name], numbers).lower() == sql.lower():
                existing[name] = wanted[name]
            elif sql.lower() in types:
                existing[name] = types[sql.lower()]
            elif name in wanted:
                msg = (
                    f"Column '{name}' of table '{table}' is of type {sql}, and an export writes "
                    f"{self.sql_type(wanted[name], numbers)}: nothing is altered in place, so "
                    "rename the table, or export into another schema."
                )
                raise DestinationError(msg)
        return existing


class Database(Protocol):
    """A connection to a database.

    Attributes:
        title: What it is, for a person.
        dialect: Its SQL.
    """

    title: str
    dialect: Dialect

    def execute(self, statement: str) -> None:
        """Run a statement."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a small query."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit what is done inside, or nothing of it.

        Raises:
            DestinationError: It failed.
        """

    def table(self, name: str) -> str:
        """Return the SQL of a table that is kept."""

    def columns(self, table: str) -> dict[str, str]:
        """Return name -> SQL type of a kept table's columns; empty where there is no table."""

    def stage(self, name: str, pieces: Sequence[Path], outputs: Sequence[str]) -> None:
        """Make rows available under a name, to this connection alone.

        Args:
            name: The name.
            pieces: Parquet files.
            outputs: What to select from them, in DuckDB's SQL.
        """

    def unstage(self, name: str) -> None:
        """Forget what was staged."""


_NUMBERS = itertools.count(1)
"""No name of what is staged comes again."""


class SqlStore:
    """The table of one stream.

    Args:
        database: Where it is.
        layout: Its columns.
    """

    def __init__(self, database: Database, layout: Layout) -> None:
        self._database = database
        self._layout = layout

    def stage(self, pieces: Sequence[Path]) -> str | None:
        """Take the rows of a load: bulk ingest into a temporary table."""
        if not pieces:
            return None
        name = f"_staged_{next(_NUMBERS)}"
        types = self._database.dialect.as_text
        outputs = [
            f"{as_text(identifier(column), type_) if type_ in types else identifier(column)}"
            f" AS {identifier(self._layout.names[column])}"
            for column, type_ in self._layout.columns.items()
        ]
        self._database.stage(name, pieces, outputs)
        return name

    def discard(self, batch: str | None) -> None:
        """Forget staged rows."""
        if batch:
            self._database.unstage(batch)

    def commit(self, batches: Sequence[str | None], state: str, *, gone: bool) -> None:
        """Change table and state in one transaction."""
        database = self._database
        table = database.table(self._layout.stream)
        staged = [name for name in batches if name]
        with database.transaction():
            is_new = self._prepare(table)
            needs_key = is_new and database.dialect.keyed
            if gone and not is_new:
                # The batches hold all rows that there are.
                database.execute(f"DELETE FROM {table}")
                needs_key = database.dialect.keyed and self._drop_other_key(table)
            for at, name in enumerate(staged):
                if at or not (is_new or gone):
                    database.execute(f"DELETE FROM {table} WHERE {self._is_in(name, table)}")
                self._insert(table, name)
            if needs_key:
                self._add_key(table)
            put_state(database, state)
        for name in staged:
            database.unstage(name)

    def _prepare(self, table: str) -> bool:
        """Create the table, or add the columns that it lacks; return whether it is new."""
        types = self._sql_types()
        found = self._database.columns(self._layout.stream)
        if not found:
            columns = ", ".join(f"{identifier(name)} {sql}" for name, sql in types.items())
            self._database.execute(f"CREATE TABLE {table} ({columns})")
            return True
        self._check_ours(table, found)
        for name, sql in types.items():
            if name not in found:
                self._database.execute(f"ALTER TABLE {table} ADD COLUMN {identifier(name)} {sql}")
        return False

    def _check_ours(self, table: str, found: Mapping[str, str]) -> None:
        """Refuse a table with rows and without any of the columns that all our rows have.

        A snapshot would delete them, and nothing could bring them back.

        Raises:
            DestinationError: It is such a table.
        """
        ours = {self._layout.names.get(name, name) for name in PROVENANCE}
        if ours.isdisjoint(found) and self._database.rows(f"SELECT 1 FROM {table} LIMIT 1"):
            msg = (
                f"Table '{self._layout.stream}' has rows that no export has written, and an export "
                "would delete them: rename the table, or export into another schema (`--schema`)."
            )
            raise DestinationError(msg)

    def _drop_other_key(self, table: str) -> bool:
        """Take the primary key from a table whose rows had another one; tell whether there was.

        Rows of now may share it, or have no value in it.
        """
        found = self._database.rows(
            "SELECT c.conname::text AS name, a.attname::text AS part FROM pg_constraint c"
            " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)"
            f" WHERE c.contype = 'p' AND c.conrelid = {literal(table)}::regclass"
        )
        parts = {part for _, part in found}
        if not parts or parts == {*self._layout.key}:
            return False
        self._database.execute(f"ALTER TABLE {table} DROP CONSTRAINT {identifier(found[0][0])}")
        for part in parts:
            self._database.execute(
                f"ALTER TABLE {table} ALTER COLUMN {identifier(part)} DROP NOT NULL"
            )
        return True

    def _add_key(self, table: str) -> None:
        key = ", ".join(map(identifier, self._layout.key))
        self._database.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")

    def _insert(self, table: str, staged: str) -> None:
        names = ", ".join(map(identifier, self._layout.types))
        values = ", ".join(map(self._value, self._layout.types))
        self._database.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {staged}")

    def _is_in(self, staged: str, table: str) -> str:
        """SQL that tells whether a row of the table has a key that is staged."""
        same = " AND ".join(
            f"{self._value(name, of=staged)} = {table}.{identifier(name)}"
            for name in self._layout.key
        )
        return f"EXISTS (SELECT 1 FROM {staged} WHERE {same})"

    def _value(self, name: str, of: str = "") -> str:
        """SQL of a staged value as the table has it: numbers without a limit come as text."""
        dialect, type_ = self._database.dialect, self._layout.types[name]
        sql = f"{of}.{identifier(name)}" if of else identifier(name)
        if type_ is not Type.NUMBER or not dialect.unlimited:
            return sql
        return f"CAST({sql} AS {dialect.sql_type(type_, self._layout.numbers)})"

    def _sql_types(self) -> dict[str, str]:
        dialect, numbers = self._database.dialect, self._layout.numbers
        return {
            name: dialect.sql_type(type_, numbers) for name, type_ in self._layout.types.items()
        }


def as_text(sql: str, type_: Type) -> str:
    """Return DuckDB's SQL of the text that a RECORD message shows of a value."""
    match type_:
        case Type.TIMESTAMP:
            return f"strftime(make_timestamp(epoch_us({sql})), '%Y-%m-%dT%H:%M:%S.%fZ')"
        case Type.STRING | Type.UUID | Type.TIME_TEXT:
            return sql
        case _:
            return f"CAST({sql} AS VARCHAR)"


def state_of(database: Database) -> str | None:
    """Return the state that a database keeps; None where it has none.

    A stream whose table is gone starts again.
    """
    if not database.columns(STATE_NAME):
        return None
    found = database.rows(f"SELECT state FROM {database.table(STATE_NAME)}")
    if not found:
        return None
    text = str(found[0][0])
    try:
        state = read_json(text)
    except ValueError:
        return text  # which its reader reports
    if isinstance(state, dict):
        forget_lost(state, "table", lambda stream: bool(database.columns(stream)))
    return json.dumps(state, ensure_ascii=False)


def put_state(database: Database, text: str) -> None:
    """Keep a state; inside of a transaction, with what else it does."""
    table, type_ = database.table(STATE_NAME), database.dialect.types[Type.STRING]
    if not database.columns(STATE_NAME):
        database.execute(f"CREATE TABLE {table} (state {type_})")
    database.execute(f"DELETE FROM {table}")
    database.execute(f"INSERT INTO {table} VALUES ({literal(text)})")
