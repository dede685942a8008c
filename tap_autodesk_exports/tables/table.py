"""A CSV file as a typed table, and its rows as Singer RECORD lines.

DuckDB reads the file, types it, and puts each line together; Python only hands the lines on. The
file is read whole before the first row goes out: every byte of it must be accounted for.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
import tempfile
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.tables import dialect
from tap_autodesk_exports.tables.cells import in_json, quoted, typed
from tap_autodesk_exports.tables.errors import FileError
from tap_autodesk_exports.tables.types import Column, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import TracebackType

EXPORT_ID, EXPORTED_AT = "_export_id", "_exported_at"
RESCUED_DATA, ROW_ID = "_rescued_data", "_row_id"

_CHUNK = 8192
_LONG_LINES = 512 << 20
"""Bytes that a single record may have when the ordinary limit of 2 MB does not do."""
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,4000}")


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the catalog knows of a file."""

    columns: tuple[Column, ...]
    """The columns in order. The file may hold them in another order, lack some and have more."""
    key: tuple[str, ...] = ()
    """Names of the natural key, from which `_row_id` is made; may name constants. Empty: all
    `columns`."""
    constants: Mapping[str, tuple[Type, str | None]] = dataclasses.field(default_factory=dict)
    """Columns with one value for the whole file, such as a team: its type and its text."""
    rename: Callable[[str], str] = str
    """From a name in the header to the name of a column; two spellings may give one name."""


class Table:
    """A CSV file, checked as a whole and typed by a layout.

    Every row carries the columns of the layout (null where the file lacks one), its constants, and

    - `_export_id`, `_exported_at`: of which export, taken when;
    - `_rescued_data`: null, or an object from column name to raw text, with the cells that do not
      fit the type of their column, and with the values of columns that the layout does not know;
    - `_row_id`: 32 hex digits, the MD5 of the natural key and of a counter among the rows that
      share it. The same row gets the same id in every export, wherever it stands in the file.
    """

    def __init__(  # noqa: PLR0913
        self,
        path: Path,
        layout: Layout,
        *,
        export_id: str,
        exported_at: str,
        folder: Path,
        memory_limit: str = "256MB",
    ) -> None:
        """Open the file and read it once, whole.

        Args:
            path: A CSV file, as `as_csv` returns it.
            layout: What is known of it.
            export_id: The export that it comes from.
            exported_at: When the source took the snapshot, as a timestamp.
            folder: Where temporary files may go; `close` leaves nothing behind.
            memory_limit: What DuckDB may take before it writes to `folder`.

        Raises:
            FileError: The file is damaged, is not CSV, or has none of the layout's columns.
        """
        self._path = path
        self._layout = layout
        self._spill = Path(tempfile.mkdtemp(prefix="table-", dir=folder))
        try:
            self._database = duckdb.connect(
                config={
                    "threads": 2,
                    "memory_limit": memory_limit,
                    "temp_directory": str(self._spill / "spill"),
                    "autoinstall_known_extensions": False,
                    "TimeZone": "UTC",
                }
            )
            self.header = dialect.read_header(path).names
            self._known, self._unknown = self._match_header()
            self._constants = self._type_constants(export_id, exported_at)
            self._source, self._count = self._open()
        except BaseException:
            self.close()
            raise

    # --- what the file holds -----------------------------------------------------------------

    @property
    def unknown(self) -> tuple[str, ...]:
        """Columns of the file that the layout does not know, as `_rescued_data` names them."""
        return tuple(self._unknown)

    @property
    def missing(self) -> tuple[str, ...]:
        """Columns of the layout that the file does not have."""
        return tuple(
            column.name for column in self._layout.columns if column.name not in self._known
        )

    @functools.cached_property
    def columns(self) -> tuple[Column, ...]:
        """All columns of a record, in order. `_rescued_data` counts as a string here."""
        return (
            *self._layout.columns,
            *(Column(name, type_) for name, (type_, _) in self._layout.constants.items()),
            Column(EXPORT_ID),
            Column(EXPORTED_AT, Type.TIMESTAMP),
            Column(RESCUED_DATA),
            Column(ROW_ID),
        )

    def count(self) -> int:
        """Return the number of rows."""
        return self._count

    def maximum(self, column: str) -> str | None:
        """Return the greatest value of a column in its canonical form, None if it has none."""
        cell = self._cell(column)
        order = f"try_cast({cell} AS DOUBLE)" if self._type(column) is Type.NUMBER else cell
        (value,) = self._only_row(
            f"SELECT arg_max(value, sort) FROM"  # noqa: S608
            f" (SELECT {cell} AS value, {order} AS sort FROM {self._source})"
        )
        return None if value is None else str(value)

    # --- the rows ----------------------------------------------------------------------------

    def lines(
        self,
        stream: str,
        selected: Collection[str],
        *,
        version: int | None = None,
        time_extracted: str,
        after: tuple[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Yield the rows as RECORD messages: chunks of whole lines, ready for standard output.

        Args:
            stream: Name of the stream.
            selected: Names of the columns to send; those that the table does not have are ignored.
            version: Version of a full table, if the target is to activate it.
            time_extracted: Timestamp of the message.
            after: A column and a value in canonical form: rows that are older are left out. A row
                that equals it is sent, and so is a row without a value, which may be new.
        """
        begin = f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":'
        end = f',"version":{version}' if version is not None else ""
        end += f',"time_extracted":{json.dumps(time_extracted)}}}\n'
        fields = [
            f"{quoted(json.dumps(column.name) + ':')}, {self._json(column)}"
            for column in self._selected(selected)
        ]
        record = ", ".join(["'{'", ", ',', ".join(fields) or "''", "'}'"])
        line = f"concat({quoted(begin)}, {record}, {quoted(end)})"
        for rows in self._query([line], selected, after):
            yield "".join([row[0] for row in rows]).encode()

    def records(
        self, selected: Collection[str], *, after: tuple[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the same records as dictionaries, numbers as int or Decimal with all their digits.

        Args:
            selected: As in `lines`.
            after: As in `lines`.
        """
        columns = self._selected(selected)
        names = [column.name for column in columns]
        readers = [
            json.loads if column.name == RESCUED_DATA else _READERS.get(column.type, str)
            for column in columns
        ]
        for rows in self._query([self._text(column.name) for column in columns], selected, after):
            for row in rows:
                yield {
                    name: None if text is None else read(text)
                    for name, read, text in zip(names, readers, row, strict=False)
                }

    def close(self) -> None:
        """Give back memory and disk."""
        if database := getattr(self, "_database", None):
            database.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the table."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the table."""
        self.close()

    # --- opening -----------------------------------------------------------------------------

    def _match_header(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return name -> SQL name of the columns that are known, and of those that are not."""
        layout = {column.name for column in self._layout.columns}
        known: dict[str, str] = {}
        unknown: dict[str, str] = {}
        for at, raw in enumerate(self.header):
            name = self._layout.rename(raw) if raw else f"column_{at + 1}"
            if name in layout and name not in known:
                known[name] = f"c{at}"
                continue
            unique, repeated = name, 1
            while unique in known or unique in unknown:
                repeated += 1
                unique = f"{name}#{repeated}"
            unknown[unique] = f"c{at}"
        if layout and not known:
            raise FileError(
                self._path,
                f"has none of the expected columns ({_some(layout)}); its header is"
                f" {_some(self.header)}.",
            )
        return known, unknown

    def _type_constants(self, export_id: str, exported_at: str) -> dict[str, str | None]:
        """Return the canonical text of every column that has one value for the whole file."""
        constants = {
            **self._layout.constants,
            EXPORT_ID: (Type.STRING, export_id),
            EXPORTED_AT: (Type.TIMESTAMP, exported_at),
        }
        texts: dict[str, str | None] = {}
        for name, (type_, text) in constants.items():
            (texts[name],) = self._only_row(f"SELECT {typed('$text', type_)}", {"text": text})
            if text is not None and texts[name] is None:
                message = f"The value {text!r} of '{name}' is no {type_.value}."
                raise ValueError(message)
        return texts

    def _open(self) -> tuple[str, int]:
        """Find a way of reading in which every byte of the file is accounted for."""
        for options in ("", _long_lines()):
            source = self._reader(self._path, options)
            try:
                count = self._accounted(self._path, source)
            except duckdb.InvalidInputException:
                continue
            if count is not None:
                return source, count
            break
        # DuckDB and the file disagree: the dialect module decides who is right.
        copy = self._spill / "rewritten.csv"
        count = dialect.rewrite(self._path, copy)
        source = self._reader(copy, _long_lines())
        if self._accounted(copy, source) != count:
            raise FileError(self._path, "cannot be read exactly. Please report this.")
        return source, count

    def _reader(self, path: Path, options: str) -> str:
        columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(len(self.header)))
        return (
            f"read_csv({quoted(str(path))}, columns = {{{columns}}}, auto_detect = false,"
            " header = true, delim = ',', quote = '\"', escape = '\"', strict_mode = true,"
            f" nullstr = '', allow_quoted_nulls = false{options})"
        )

    def _accounted(self, path: Path, source: str) -> int | None:
        """Count the rows; None unless rows, separators and quotes make up the file's size.

        DuckDB reads some files otherwise than they stand there without a word (observed: a space
        beside a quote, a comma too many at the end of a row, an open quote at the end).
        """
        cells = [f"c{at}" for at in range(len(self.header))]
        quotes_in = [
            f"CASE WHEN contains({cell}, '\"')"
            f" THEN strlen({cell}) - strlen(replace({cell}, '\"', '')) ELSE 0 END"
            for cell in cells
        ]
        header = dialect.read_header(path)
        quotes = dialect.count_quotes(path, header.end)
        inner = f"coalesce(sum({' + '.join(quotes_in)}), 0)" if quotes else "0"
        length = " + ".join(f"coalesce(strlen({cell}), 0)" for cell in cells)
        rows, text, inside = self._only_row(
            f"SELECT count(*), coalesce(sum({length}), 0), {inner} FROM {source}"  # noqa: S608
        )
        size = header.end + text + quotes - inside + rows * (len(cells) - 1)
        size += rows * len(header.newline)
        if rows and not dialect.ends_with_newline(path):
            size -= len(header.newline)
        exact = size == path.stat().st_size and quotes % 2 == 0
        return int(rows) if exact else None

    # --- SQL of a row ------------------------------------------------------------------------

    def _type(self, name: str) -> Type:
        return next(column.type for column in self.columns if column.name == name)

    def _cell(self, name: str) -> str:
        """SQL of the canonical text of a column of the layout or a constant."""
        if name in self._constants:
            return _literal(self._constants[name])
        if name in self._known:
            return typed(self._known[name], self._type(name))
        return "NULL::VARCHAR"

    def _text(self, name: str) -> str:
        """SQL of the canonical text of any column, over the rows that `_query` selects."""
        if name == RESCUED_DATA:
            return "rescued"
        if name == ROW_ID:
            return "row_id"
        return f"t_{self._known[name]}" if name in self._known else self._cell(name)

    def _json(self, column: Column) -> str:
        if column.name == RESCUED_DATA:
            return "coalesce(rescued, 'null')"
        return in_json(self._text(column.name), column.type)

    def _selected(self, selected: Collection[str]) -> list[Column]:
        return [column for column in self.columns if column.name in selected]

    def _query(
        self, outputs: list[str], selected: Collection[str], after: tuple[str, str] | None
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Run `outputs` over the typed rows and yield the results in chunks."""
        inner = [
            f"{self._cell(column.name)} AS t_{self._known[column.name]}"
            for column in self._layout.columns
            if column.name in self._known
        ]
        source = self._source
        row_id = "NULL"
        if ROW_ID in selected:
            source, row_id = self._identified()
        rescued = self._rescued(selected) if RESCUED_DATA in selected else "NULL"
        where, parameters = self._condition(after)
        with self._resources():
            result = self._database.cursor().execute(
                f"SELECT {', '.join(outputs) or '1'} FROM"  # noqa: S608
                f" (SELECT *, {rescued} AS rescued, {row_id} AS row_id FROM"
                f" (SELECT *, {', '.join(inner) or '1'} FROM {source}){where})",
                parameters,
            )
            while rows := result.fetchmany(_CHUNK):
                yield rows

    def _condition(self, after: tuple[str, str] | None) -> tuple[str, dict[str, str]]:
        if after is None:
            return "", {}
        name, bound = after
        type_ = self._type(name)
        text = self._text(name)
        limit = typed("$bound", Type.TIMESTAMP if type_ is Type.DATE else type_)
        if type_ is Type.DATE:
            limit = f"left({limit}, 10)"
        if type_ is Type.NUMBER:
            text, limit = f"try_cast({text} AS DOUBLE)", f"try_cast({limit} AS DOUBLE)"
        return f" WHERE coalesce({text} >= {limit}, true)", {"bound": bound}

    def _rescued(self, selected: Collection[str]) -> str:
        """SQL of the object with what did not fit, NULL where everything did."""
        misfits = [
            (column.name, cell, f"{cell} IS NOT NULL AND t_{cell} IS NULL")
            for column in self._layout.columns
            if column.type is not Type.STRING
            and column.name in selected
            and (cell := self._known.get(column.name))
        ]
        misfits += [(name, cell, f"{cell} IS NOT NULL") for name, cell in self._unknown.items()]
        if not misfits:
            return "NULL"
        members = ", ".join(
            f"CASE WHEN {misfit} THEN {quoted(json.dumps(name, ensure_ascii=False) + ':')}"
            f" || to_json({cell})::VARCHAR END"
            for name, cell, misfit in misfits
        )
        misfit = " OR ".join(f"({misfit})" for _, _, misfit in misfits)
        return f"CASE WHEN {misfit} THEN '{{' || concat_ws(',', {members}) || '}}' END"

    # --- row ids -----------------------------------------------------------------------------

    def _identified(self) -> tuple[str, str]:
        """Return a source, and SQL over it, that give every row its id.

        Only rows whose key is not theirs alone are sorted; they are moved to a table of their own.
        """
        key = self._key()
        if not self._has_twins:
            return self._source, f"md5({key})"
        source = (
            f"(SELECT *, NULL AS place FROM {self._source}"  # noqa: S608
            f" WHERE md5_number_lower({key}) NOT IN (FROM shared_hashes)"
            " UNION ALL SELECT * FROM twins)"
        )
        place = "CASE WHEN place > 0 THEN '#' || place ELSE '' END"
        return source, f"md5({key} || {place})"

    @functools.cached_property
    def _has_twins(self) -> bool:
        """Find the rows that share their key, and number them independently of their order."""
        hashed = f"md5_number_lower({self._key()})"
        with self._resources():
            self._database.execute(
                "CREATE TABLE shared_hashes AS SELECT hash FROM"  # noqa: S608
                f" (SELECT {hashed} AS hash FROM {self._source})"
                " GROUP BY hash HAVING count(*) > 1"
            )
            (shared,) = self._only_row("SELECT count(*) FROM shared_hashes")
            if not shared:
                return False
            known = _joined([self._identity(column.name) for column in self._layout.columns])
            everything = _joined([f"c{at}" for at in range(len(self.header))])
            self._database.execute(
                "CREATE TABLE twins AS SELECT *, row_number() OVER"  # noqa: S608
                f" (PARTITION BY {self._key()} ORDER BY md5({known}), md5({everything})) - 1"
                f" AS place FROM {self._source} WHERE {hashed} IN (FROM shared_hashes)"
            )
        return True

    def _key(self) -> str:
        """SQL of the natural key as one text, made from the cells of the file.

        Typed cells count in their canonical form, so that a changed spelling (`t` for `1`) keeps
        the id; cells that do not fit count as they are.
        """
        names = self._layout.key or [column.name for column in self._layout.columns]
        return _joined([self._identity(name) for name in names])

    def _identity(self, name: str) -> str:
        cell = self._cell(name)
        return f"coalesce({cell}, {self._known[name]})" if name in self._known else cell

    # --- DuckDB ------------------------------------------------------------------------------

    def _only_row(self, query: str, parameters: dict[str, Any] | None = None) -> tuple[Any, ...]:
        with self._resources():
            row = self._database.cursor().execute(query, parameters or {}).fetchone()
        return row or ()

    @contextmanager
    def _resources(self) -> Iterator[None]:
        """Turn a lack of disk or memory into a sentence."""
        try:
            yield
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            reason = str(error).splitlines()[0]
            message = (
                f"The file '{self._path.name}' cannot be read for lack of disk or memory"
                f" ({reason}). Free some space in the temporary folder, or point TMPDIR elsewhere."
            )
            raise TapError(message) from error


def _read_number(token: str) -> int | Decimal:
    return int(token) if _INTEGER.fullmatch(token) else Decimal(token)


_READERS: dict[Type, Callable[[str], Any]] = {
    Type.NUMBER: _read_number,
    Type.BOOLEAN: "true".__eq__,
}


def _joined(cells: list[str]) -> str:
    """SQL of one text for many cells, unambiguous: `length:text` each, `-` for null."""
    parts = ", ".join(f"coalesce(strlen({cell})::VARCHAR || ':' || {cell}, '-')" for cell in cells)
    return f"concat({parts})"


def _literal(text: str | None) -> str:
    return "NULL::VARCHAR" if text is None else quoted(text)


def _long_lines() -> str:
    return f", max_line_size = {_LONG_LINES}, buffer_size = {2 * _LONG_LINES}, parallel = false"


def _some(names: Collection[str]) -> str:
    first = sorted(names)[:5] if isinstance(names, set) else list(names)[:5]
    return ", ".join(f"'{name[:60]}'" for name in first) + (
        ", …" if len(names) > len(first) else ""
    )
