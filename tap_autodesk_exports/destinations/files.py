"""Files as destinations: each stream is one file, written whole and moved into place.

A merge needs the old rows, so the file is its own memory: old rows whose keys do not come again,
then the new ones, go into a new file. The order of the steps makes them one:

1. the new file is written beside;
2. what the state will be is written to `<state>.next`, with the size and SHA-256 of the new file;
3. the new file is moved into place;
4. the state is written, and `<state>.next` removed.

A run that finds `<state>.next` knows by the SHA-256 whether the third step was done: then it does
the fourth, else nothing has happened.
"""

from __future__ import annotations

import functools
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.destinations.destination import STATE_NAME, DestinationError
from tap_autodesk_exports.destinations.duckdb_file import DIALECT
from tap_autodesk_exports.destinations.formats import Csv, JsonLines, Parquet
from tap_autodesk_exports.destinations.layout import file_name, identifier
from tap_autodesk_exports.destinations.state import forget_lost
from tap_autodesk_exports.destinations.storage import Bucket, LocalFolder, digest
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.tables.numbers import ParquetNumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.destinations.formats import Format
    from tap_autodesk_exports.destinations.layout import Layout
    from tap_autodesk_exports.destinations.storage import Storage
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.types import Type

FORMATS: Mapping[str, Format] = {
    ".csv": Csv(),
    ".jsonl": JsonLines(),
    ".jsonl.gz": JsonLines(),
    ".parquet": Parquet(),
}
"""End of a file's name -> how it is written."""

Files = dict[str, dict[str, Any]]
"""Name of a stream -> size and SHA-256 of its file."""


class FileDestination:
    """Files of one format.

    Args:
        storage: Where they are.
        suffix: End of their names.
        name_of: Takes a stream; returns the name of its file.
        state_name: Name of the file with the state.
        holds_one: Whether there is room for one stream only.
    """

    holds_loads = True
    longest_name = 1000

    def __init__(
        self,
        storage: Storage,
        suffix: str,
        name_of: Callable[[str], str],
        state_name: str,
        *,
        holds_one: bool,
    ) -> None:
        self.title = storage.title
        self.holds_one = holds_one
        self.storage = storage
        self.suffix = suffix
        self.format = FORMATS[suffix]
        self.name_of = name_of
        self._state_name = state_name
        self._next_name = f"{state_name}.next"
        self.engine: Engine | None = None
        self._files: Files = {}

    @property
    def reader(self) -> Engine:
        """What reads and writes the files."""
        if self.engine is None:
            msg = "the destination has no engine"
            raise RuntimeError(msg)
        return self.engine

    def open(self) -> None:
        """Keep others out, and end what a killed run has begun."""
        self.storage.open()
        if coming := self.storage.read(self._next_name):
            self._recover(coming)

    def _recover(self, coming: bytes) -> None:
        """Take the state that was about to be written, where its file is in place already."""
        found = _object(coming)
        stream = found.get("stream")
        if isinstance(stream, str) and isinstance(found.get("state"), dict):
            facts = _facts(found.get("files")).get(stream)
            if facts and self._is_in_place(self.name_of(stream), facts):
                self.storage.write(self._state_name, coming)
        self.storage.remove(self._next_name)

    def _is_in_place(self, name: str, facts: Mapping[str, Any]) -> bool:
        """Tell whether a file is the one whose size and SHA-256 are given."""
        same_size = bool(self.storage.size(name) == facts["size"])
        return same_size and self.storage.digest(name) == facts["sha256"]

    def close(self) -> None:
        """Let others write."""
        self.storage.close()

    def read_state(self) -> str | None:
        """Return the state; a stream whose file is gone starts again."""
        content = self.storage.read(self._state_name)
        if content is None:
            return None
        found = _object(content)
        state = found.get("state")
        if not isinstance(state, dict):
            return "no state"  # which its reader reports
        files = _facts(found.get("files"))
        # A bucket is asked about each stream once.
        is_there = functools.cache(lambda each: self.storage.size(self.name_of(each)) is not None)
        self._files = {stream: files[stream] for stream in files if is_there(stream)}
        forget_lost(state, "file", is_there)
        return json.dumps(state, ensure_ascii=False)

    def write_state(self, text: str) -> None:
        """Keep a state; the files stay as they are."""
        self.storage.write(self._state_name, self._content(text, self._files))

    @staticmethod
    def _content(text: str, files: Files, **more: str) -> bytes:
        wrapped = {"state": read_json(text), "files": files, **more}
        return json.dumps(wrapped, ensure_ascii=False).encode()

    def replace(self, stream: str, draft: Path, text: str) -> None:
        """Move a stream's new file into place, together with a state."""
        facts = {"size": draft.stat().st_size, "sha256": digest(draft)}
        files = {**self._files, stream: facts}
        content = self._content(text, files, stream=stream)
        self.storage.write(self._next_name, content)
        self.storage.move(draft, self.name_of(stream))
        self._files = files
        self.storage.write(self._state_name, content)
        self.storage.remove(self._next_name)

    def numbers(self, wanted: ParquetNumbers) -> ParquetNumbers:
        """As the setting says where the format has types, else as text."""
        return ParquetNumbers() if self.format.exact_numbers else wanted

    def existing(
        self, stream: str, wanted: Mapping[str, Type], numbers: ParquetNumbers
    ) -> dict[str, Type]:
        """Return the types of the columns that a file has.

        Raises:
            DestinationError: The file is not the one that the last export has written.
        """
        size = self.storage.size(self.name_of(stream))
        if size is None:
            return {}
        if stream not in self._files or size != self._files[stream]["size"]:
            kind = "was changed since" if stream in self._files else "was not written by"
            msg = (
                f"'{self.name_of(stream)}' {kind} the last export, and an export would overwrite "
                "it: move it away, and all of it is loaded again, or name another destination."
            )
            raise DestinationError(msg)
        if self.format.exact_numbers:
            return {}
        return DIALECT.existing(stream, self._columns(stream), wanted, numbers)

    def _columns(self, stream: str) -> dict[str, str]:
        with closing(self.reader.connection()) as database:
            return self.format.columns(
                database, self.storage.local(self.name_of(stream), self.reader.folder)
            )

    def has(self, stream: str) -> bool:
        """Tell whether a stream has a file."""
        return stream in self._files

    def store(self, layout: Layout) -> FileStore:
        """Return the file of a stream."""
        return FileStore(self, layout)


def _object(content: bytes) -> dict[str, Any]:
    """Return the object that a file holds; an empty one where it was cut or damaged."""
    try:
        found = read_json(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _facts(files: Any) -> Files:  # noqa: ANN401
    """Return the facts of those files that have them; the others are nobody's."""
    return {
        stream: facts
        for stream, facts in (files.items() if isinstance(files, dict) else ())
        if isinstance(facts, dict) and {"size", "sha256"} <= facts.keys()
    }


def one_file(path: Path, suffix: str) -> FileDestination:
    """Return a file for one stream; its state is beside it."""
    return FileDestination(
        LocalFolder(path.parent, f".{path.name}.lock"),
        suffix,
        lambda _: path.name,
        f"{path.name}.state.json",
        holds_one=True,
    )


def folder_of_parquet(storage: LocalFolder | Bucket) -> FileDestination:
    """Return a folder with a folder for each stream, in which there is one Parquet file."""
    return FileDestination(
        storage,
        ".parquet",
        lambda stream: f"{file_name(stream)}/{file_name(stream)}.parquet",
        f"{STATE_NAME}.json",
        holds_one=False,
    )


class FileStore:
    """The file of one stream.

    Args:
        files: The destination.
        layout: The columns.
    """

    def __init__(self, files: FileDestination, layout: Layout) -> None:
        self._files = files
        self._layout = layout

    def stage(self, pieces: Sequence[Path]) -> Sequence[Path]:
        """Keep the rows where they are."""
        return pieces

    def discard(self, batch: Sequence[Path]) -> None:
        """Nothing: whoever has staged the rows removes them."""

    def commit(self, batches: Sequence[Sequence[Path]], state: str, *, gone: bool) -> None:
        """Write a new file, and move it into place with the state."""
        import duckdb  # noqa: PLC0415 - takes a third of a second

        files, name = self._files, self._files.name_of(self._layout.stream)
        has_old = files.has(self._layout.stream)
        staged = [batch for batch in batches if batch]
        if has_old and not staged and not gone:
            files.write_state(state)
            return
        old = files.storage.local(name, files.reader.folder) if has_old and not gone else None
        try:
            draft = files.storage.draft(name, files.reader.folder)
            self._write(staged, old, draft)
            files.replace(self._layout.stream, draft, state)
        except duckdb.OutOfMemoryException as error:
            msg = (
                f"'{name}' could not be written for lack of memory or disk, so it is as it was. "
                "Its rows have very long cells, or the folder for temporary files is full: make "
                "room there, or export into a .parquet or .duckdb file."
            )
            raise DestinationError(msg) from error
        except (OSError, duckdb.Error) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            msg = (
                f"'{name}' could not be written ({reason}), so it is as it was. Look whether the "
                "disk is full, and run again."
            )
            raise DestinationError(msg) from error

    def _write(self, batches: Sequence[Sequence[Path]], old: Path | None, draft: Path) -> None:
        form, layout = self._files.format, self._layout
        parts = [form.new(batch, layout) for batch in batches]
        names = list(layout.types)
        with closing(self._files.reader.connection()) as database:
            if old:
                found = form.columns(database, old)
                names += [name for name in found if name not in layout.types]
                parts.insert(0, form.old(old, list(found)))
            query = parts[0] if parts else form.empty(layout)
            if len(parts) > 1:
                query = self._merged(database, parts)
                if form.has_columns:
                    query = f"SELECT {', '.join(map(identifier, names))} FROM ({query})"
            compressed = self._files.suffix.endswith(".gz")
            statement = form.copy(query, draft, compressed=compressed)
            self._files.reader.execute(database, statement)

    def _merged(self, database: duckdb.DuckDBPyConnection, parts: Sequence[str]) -> str:
        """Return a query for the rows of all parts; of those with one key, the last part's."""
        run = self._files.reader.execute
        keys = self._files.format.key(self._layout)
        named = ", ".join(f"{sql} AS _key_{at}" for at, sql in enumerate(keys))
        for at, part in enumerate(parts):
            run(database, f"CREATE TEMP VIEW _part_{at} AS {part}")
        all_keys = " UNION ALL ".join(
            f"SELECT {named}, {at} AS _part FROM _part_{at}" for at in range(len(parts))
        )
        run(
            database,
            f"CREATE TEMP TABLE _newest AS SELECT * EXCLUDE (_part), max(_part) AS _part"
            f" FROM ({all_keys}) GROUP BY ALL",
        )
        same = " AND ".join(f"_newest._key_{at} = {sql}" for at, sql in enumerate(keys))
        return " UNION ALL BY NAME ".join(
            f"SELECT * FROM _part_{at} WHERE EXISTS"
            f" (SELECT 1 FROM _newest WHERE _newest._part = {at} AND {same})"
            for at in range(len(parts))
        )
