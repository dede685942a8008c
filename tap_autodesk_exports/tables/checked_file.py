"""A CSV file that is checked as a whole: which columns it has, and what of it fits a schema."""

from __future__ import annotations

import functools
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.files import csv_dialect
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.redaction import excerpt
from tap_autodesk_exports.tables.alternatives import Alternatives
from tap_autodesk_exports.tables.cleaning import Cleaner
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.keys import unique
from tap_autodesk_exports.tables.layout import EXPORT_ID, EXPORTED_AT, match_header
from tap_autodesk_exports.tables.reading import CsvFile, read
from tap_autodesk_exports.tables.rows import Rows
from tap_autodesk_exports.tables.spelling import same_letters
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import duckdb

    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.layout import TableSchema
    from tap_autodesk_exports.tables.reading import Scan


class CheckedFile:
    """A CSV file, checked as a whole and typed by a schema; `Table` gives its rows.

    Whatever needs the rows, or their number, raises FileError where the file is damaged, or holds
    different rows with one key where the schema says that it is unique.
    """

    def __init__(
        self,
        path: Path,
        schema: TableSchema,
        *,
        export_id: str,
        exported_at: str,
        engine: Engine,
    ) -> None:
        """Open the file and read its header.

        Args:
            path: A CSV file, as `as_csv` returns it.
            schema: What is known of it.
            export_id: The export that it comes from.
            exported_at: When the source took the snapshot, as a timestamp.
            engine: Reads it; `close` leaves nothing behind in its folder.

        Raises:
            FileError: The file is empty, or its header is damaged, is cut off in the name of a
                column, or has no column of the schema.
        """
        self._path = path
        self._schema = schema
        self._engine = engine
        self._header = header = csv_dialect.read_header(path)
        self._match = match_header(path, header.names, schema)
        if not header.newline:
            self._check_end_of_header()
        self._constants = {
            **schema.constants,
            EXPORT_ID: (Type.STRING, export_id),
            EXPORTED_AT: (Type.TIMESTAMP, exported_at),
        }
        self._count = 0 if path.stat().st_size == header.end else None
        self._all_fit = False
        """Whether it is known that every cell fits its type."""
        self._closing = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="table-", dir=engine.folder))
        self._closing.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._cleaner = Cleaner(path, schema, header, self._match, self._folder)

    def _check_end_of_header(self) -> None:
        """Check that a file that has a header alone, without a line end, is not cut off within it.

        Raises:
            FileError: Its last name is the beginning of a column that is not there, or there is
                none behind the last separator.
        """
        last = self._header.names[-1].strip()
        is_known = self._match.names[-1] in self._match.known
        letters = same_letters(last)
        is_cut = any(same_letters(name).startswith(letters) for name in self.missing)
        if is_cut and not is_known:
            where = f"at '{excerpt(last, 60)}'" if last else "behind a separator"
            problem = f"is cut off in its header, {where}. Ask for a new export."
            raise FileError(self._path, problem)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Columns of the file that the schema does not know, as `_rescued_data` names them."""
        return tuple(name for name in self._match.names if name not in self._match.known)

    @property
    def is_doubtful(self) -> bool:
        """Whether columns are hashed, and names in the header may be values of them."""
        return self._match.is_doubtful

    @property
    def missing(self) -> tuple[str, ...]:
        """Columns of the schema that the file does not have."""
        return tuple(
            column.name for column in self._schema.columns if column.name not in self._match.known
        )

    @property
    def signed_links(self) -> tuple[str, ...]:
        """Columns with signed links, which have lost their query; known once rows are counted."""
        return tuple(sorted(self._cleaner.links))

    def unfitting(self) -> dict[str, str]:
        """Return the columns that have values of which none fits their type.

        They are null in every row, and all their texts are in `_rescued_data`: the catalog is
        wrong about them.

        Returns:
            Name -> shape of one of its texts, with 9 for digits, A and a for letters; empty where
            the column is hashed.
        """
        if self._all_fit or not self.count():
            return {}
        with self._resources():
            return {
                name: "" if self._schema.is_hashed(name) else shape_of(text)
                for name, text in self._rows.unfitting().items()
            }

    @property
    def _alternatives(self) -> list[Alternatives]:
        parts = [part for part in self._schema.natural_key if not isinstance(part, str)]
        return [Alternatives(part, self._schema, self._match) for part in parts]

    def identified_by(self) -> list[list[str]]:
        """Return by which columns rows are identified.

        Returns:
            For each part of the key that has alternatives, those that count in some row; `nothing`
            where some row has none.
        """
        found = []
        for part in self._alternatives if self.count() else ():
            uses = part.uses()
            outputs = ", ".join(f"bool_or({sql})" for sql in uses.values())
            query = f"SELECT {outputs} FROM {self._scan.source}"  # noqa: S608
            with self._resources():
                counts = one_row(self._database, query)
            found.append([name for name, is_used in zip(uses, counts, strict=True) if is_used])
        return found

    def absent_from_key(self) -> list[str] | None:
        """Return the columns of the key that the file lacks; None where it has no rows."""
        if not self.count():
            return None
        there = {*self._match.known, *self._constants}
        return [
            part for part in self._schema.natural_key if isinstance(part, str) and part not in there
        ]

    def count(self) -> int:
        """Return the number of rows."""
        if self._count is None:
            self._count = self._scan.rows
        return self._count

    def close(self) -> None:
        """Give back memory and disk."""
        self._closing.close()

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

    @functools.cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        database = self._engine.connection()
        self._closing.callback(database.close)
        if self._schema.hashing:
            self._schema.hashing.define(database)
        return database

    @functools.cached_property
    def _file(self) -> CsvFile:
        schema, known = self._schema, self._match.known
        names = {cell: name for name, cell in known.items()}
        cells = [f"c{at}" for at in range(self._match.width)]
        return CsvFile(
            self._path,
            self._header,
            types=tuple(
                schema.types[names[cell]] if cell in names else Type.STRING for cell in cells
            ),
            key=(
                *(
                    known[part]
                    for part in schema.natural_key
                    if isinstance(part, str) and part in known
                ),
                *(part.text() for part in self._alternatives),
            ),
        )

    @functools.cached_property
    def _scan(self) -> Scan:
        """How to read the rows, found by reading all of them."""
        engine = self._engine
        with self._resources():
            scan = read(engine, self._database, self._file, self._cleaner)
            return unique(engine, self._database, self._path, self._schema, self._match, scan)

    @functools.cached_property
    def _rows(self) -> Rows:
        return self._rows_of(self._scan)

    def _rows_of(self, scan: Scan) -> Rows:
        texts = {
            name: None if text is None else self._engine.canonical(name, type_, text)
            for name, (type_, text) in self._constants.items()
        }
        return Rows(self._engine, self._database, self._schema, self._match, scan, texts)

    @contextmanager
    def _resources(self) -> Iterator[None]:
        """Turn a lack of disk or memory into a sentence."""
        try:
            import duckdb  # noqa: PLC0415
        except (ImportError, MemoryError) as error:  # it is installed, and does not fit
            raise self._lack(type(error).__name__) from None
        # An Arrow stream that failed, or a thread that cannot be started, is a RuntimeError. What
        # DuckDB says may hold a cell, unless it is about disk or memory.
        try:
            yield
        except (
            duckdb.IOException,
            duckdb.OutOfMemoryException,
            MemoryError,
            RuntimeError,
        ) as error:
            reason = str(error).partition("\n")[0].replace(f"{self._path.parent}/", "")
            is_known = any(word in reason for word in ("IO Error", "Out of Memory", "thread"))
            raise self._lack(reason if is_known else type(error).__name__) from None

    def _lack(self, reason: str) -> TapError:
        return TapError(
            f"The file '{self._path.name}' cannot be read for lack of disk or memory ({reason})."
            " Free some space in the temporary folder, point TMPDIR elsewhere, or allow the"
            " process more memory."
        )


def shape_of(text: str) -> str:
    """Return what a text looks like without what it says, at most 40 characters."""
    shape = "".join(map(_shape, text[:40]))
    return shape + ("…" if len(text) > len(shape) else "")


def _shape(character: str) -> str:
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return "9" if character.isnumeric() else character
