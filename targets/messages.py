"""The tap's own messages: made by real runs against the sandbox, and read as the truth."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import cells

from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

TAP = str(Path(sys.executable).with_name("tap-autodesk-exports"))
LISTS = ("insights_contexts", "tokenflex_contracts")
EXPORTS = ("insights_users", "tokenflex_usage")
STREAMS = (*cells.TABLES, *LISTS, *EXPORTS)
SPEED_STREAM = "cost_main_contract_items"
SPEED_ROWS, SPEED_COLUMNS = 50_000, 17

ENCODINGS: dict[str, dict[str, str]] = {
    "jsonl": {"format": "jsonl", "compression": "none"},
    "jsonl+gzip": {"format": "jsonl", "compression": "gzip"},
    "parquet": {"format": "parquet"},
}
WHOLE_ENCODING = "jsonl+gzip"
"""The encoding that the targets which take BATCH have in common: all loads are made with it."""
LOADS = ("first", "shrunken", "changed")
"""All rows and fewer rows, each a version to activate; then a third of the rows, with other cells
and some that were gone, and no version."""

Key = tuple[str, ...]
Row = dict[str, Any]


@dataclass
class Table:
    """What a target's table holds once it did as the messages say.

    Attributes:
        schema: The JSON schema of the columns, by name.
        key: The columns of the key.
        rows: The rows, by key.
    """

    schema: dict[str, dict[str, Any]]
    key: tuple[str, ...]
    rows: dict[Key, Row] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """The messages of one run.

    Attributes:
        path: A file of them, as a target reads it.
        files: Folder of the BATCH files that the messages name; None for RECORD.
    """

    path: Path
    files: Path | None = None

    def offer(self) -> Path:
        """Put the BATCH files where the messages say, as a target may remove them.

        Returns:
            The file of messages.
        """
        if self.files is not None:
            shutil.copytree(_kept(self.files), self.files, dirs_exist_ok=True)
        return self.path

    def tables(self, before: Mapping[str, Table] | None = None) -> dict[str, Table]:
        """Return what the tables hold after this load: rows are replaced by their key.

        A table whose new version is activated holds the rows of this load alone.

        Args:
            before: What they hold before it.
        """
        tables = {
            name: Table(table.schema, table.key, dict(table.rows))
            for name, table in (before or {}).items()
        }
        sent: dict[str, set[Key]] = defaultdict(set)
        for message in self._messages():
            name = message.get("stream", "")
            if message["type"] == "SCHEMA":
                old = tables.get(name)
                tables[name] = Table(
                    message["schema"]["properties"],
                    tuple(message["key_properties"]),
                    old.rows if old else {},
                )
            for row in self._rows(message):
                key = key_of(row, tables[name].key)
                sent[name].add(key)
                tables[name].rows[key] = row
            if message["type"] == "ACTIVATE_VERSION":
                rows = tables[name].rows
                tables[name].rows = {key: rows[key] for key in rows if key in sent[name]}
        return tables

    def _messages(self) -> Iterator[dict[str, Any]]:
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                yield _parsed(line)

    def _rows(self, message: Mapping[str, Any]) -> Iterator[Row]:
        if message["type"] == "RECORD":
            yield message["record"]
        if message["type"] == "BATCH" and self.files is not None:
            for url in message["manifest"]:
                content = (_kept(self.files) / url.rpartition("/")[2]).read_bytes()
                if message["encoding"].get("compression") == "gzip":
                    content = gzip.decompress(content)
                yield from map(_parsed, content.decode().split("\n")[:-1])


def key_of(row: Mapping[str, Any], key: tuple[str, ...]) -> Key:
    """Return a row's key as text, so that it is the same whatever type a store gives it."""
    return tuple(_plain(row[name]) for name in key)


def _plain(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, int | float | Decimal):
        return f"{Decimal(str(value)):f}".removesuffix(".0")
    return str(value)


def _parsed(line: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(line, parse_float=Decimal)
    return parsed


def _kept(files: Path) -> Path:
    return files.with_name(f"{files.name}-kept")


class Runs:
    """Runs of the tap against a sandbox that serves the cells.

    Args:
        folder: Where messages and files are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._extract = folder / "extract"
        self._extract.mkdir()
        self._sandbox = Sandbox(extract=self._extract, scale=0.1, job_seconds=0)
        self._catalog = json.loads(_run(["--discover"]))
        self._schemas = {
            stream["tap_stream_id"]: stream["schema"] for stream in self._catalog["streams"]
        }

    def __enter__(self) -> Self:
        """Start the sandbox."""
        self._sandbox.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the sandbox."""
        self._sandbox.stop()

    @property
    def config(self) -> dict[str, Any]:
        """The tap's settings for the sandbox."""
        return {
            **self._sandbox.settings(),
            "data_connector_extract": "new",
            "data_connector_max_age_hours": 0,  # nor one that a run without state finds
        }

    def loads(self, encoding: str | None) -> dict[str, Load]:
        """Run the tap for each of `LOADS`.

        Args:
            encoding: Of the BATCH files; None for RECORD messages.
        """
        found = {}
        for name in LOADS:
            self.serve(name)
            found[name] = self._load(
                _name(encoding, name), STREAMS, encoding, versions=name != "changed"
            )
        if len({len(load.tables()[SPEED_STREAM].rows) for load in found.values()}) < len(LOADS):
            sys.exit("The loads do not differ: an export of one was used for another.")
        return found

    def batch(self, encoding: str) -> Load:
        """Run the tap for all rows as BATCH files, without a version, which some targets refuse."""
        self.serve("first")
        return self._load(_name(encoding, "batch"), STREAMS, encoding, versions=False)

    def speed(self, encoding: str | None) -> Load:
        """Run the tap for one larger table of plain cells."""
        cells.write_plain(self._extract, self._schemas, SPEED_STREAM, SPEED_ROWS)
        return self._load(_name(encoding, "speed"), (SPEED_STREAM,), encoding, versions=False)

    def serve(self, load: str) -> None:
        """Serve the tables as one of `LOADS` has them."""
        rows = {
            "first": range(cells.ROWS),
            "changed": range(0, cells.ROWS, 3),
            "shrunken": range(cells.SHRUNKEN_ROWS),
        }
        cells.write_extract(self._extract, self._schemas, rows[load], shift=int(load == "changed"))

    def _load(
        self, name: str, streams: tuple[str, ...], encoding: str | None, *, versions: bool
    ) -> Load:
        files = self._folder / f"{name}-files" if encoding else None
        config = {**self.config, "emit_activate_version_messages": versions}
        if files is not None and encoding is not None:
            files.mkdir()
            config["parquet_numbers"] = "text"  # there are numbers that fit no decimal
            config["batch_config"] = {
                "encoding": ENCODINGS[encoding],
                "storage": {"root": f"file://{files}"},
            }
        for stream in self._catalog["streams"]:
            for entry in stream["metadata"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] in streams
        path = self._folder / f"{name}.jsonl"
        with path.open("wb") as file:
            file.write(_run([self._file("config", config), self._file("catalog", self._catalog)]))
        if files is not None:
            files.rename(_kept(files))
        return Load(path, files)

    def _file(self, name: str, content: Mapping[str, Any]) -> str:
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return f"--{name}={path}"


def _name(encoding: str | None, load: str) -> str:
    return f"{(encoding or 'record').replace('+', '-')}-{load}"


def _run(arguments: list[str]) -> bytes:
    """Run the tap; it must succeed."""
    done = subprocess.run([TAP, *arguments], capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"The tap ended with {done.returncode}:\n{done.stderr.decode()[-4000:]}")
    return done.stdout
