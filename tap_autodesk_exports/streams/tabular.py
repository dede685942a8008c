"""Streams whose rows stand in files: what a file is taken for, and how its rows go out."""

from __future__ import annotations

import abc
import functools
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from singer_sdk.helpers._batch import SDKBatchMessage
from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.errors import ConfigurationError, Stopped
from tap_autodesk_exports.streams.base import TapStream
from tap_autodesk_exports.streams.personal import hashed_schema, hashing_of
from tap_autodesk_exports.tables.encoding import Encoding
from tap_autodesk_exports.tables.layout import PROVENANCE, TableSchema, type_of
from tap_autodesk_exports.tables.table import Table
from tap_autodesk_exports.tables.types import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from singer_sdk.helpers import types
    from singer_sdk.helpers._batch import BatchConfig

    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.streams.base import Record
    from tap_autodesk_exports.tap import TapAutodeskExports

    Emit = Callable[[Table, "After"], Iterable[Record]]
    """Sends the rows of a table."""

After = tuple[str, str] | None
"""A column and the bound from which rows are sent; None for all."""


class TabularStream(TapStream, abc.ABC):
    """A stream whose rows come out of files."""

    natural_key: Sequence[str] = ()
    """Columns that tell rows apart, hashed into `_row_id`; none: all of the catalog's."""
    copies: Mapping[str, str] = MappingProxyType({})
    """Columns that are in no file and repeat another one: name -> name of that one."""
    newest: str | None = None
    """Column that tells versions of a row apart, where a file may hold several."""
    constants: Sequence[str] = ()
    """Columns that are not in the file, with one value for each export."""
    remedy = "A newer release of this tap may know them."
    """What to do about columns that the catalog does not know."""
    rename: Callable[[str], str] = staticmethod(str)
    """Header of a file -> name of a column."""

    def __init__(
        self, tap: TapAutodeskExports, schema: Mapping[str, Any], name: str | None = None
    ) -> None:
        self._hashing = hashing_of(name or self.name, tap.settings)
        self._told: dict[str, set[str]] = {"unknown": set(), "missing": set()}
        self._properties: Mapping[str, Any] = schema["properties"]
        super().__init__(tap, schema=hashed_schema(schema, self._hashing), name=name)

    @abc.abstractmethod
    def fetch(self, finished: FinishedExport, folder: Path) -> Path | None:
        """Fetch the stream's file of a finished export; None where there is nothing to load.

        Raises:
            TapError: It could not be fetched whole.
        """

    def constant_values(self, finished: FinishedExport) -> Mapping[str, str | None]:  # noqa: ARG002
        """Return the values of `constants` for the rows of an export."""
        return {}

    def damaged(self, finished: FinishedExport) -> None:
        """Give up what was kept of the stream's file, because it is to be fetched once more."""

    @abc.abstractmethod
    def load_all(self, emit: Emit) -> Iterator[Record]:
        """Load file after file, and send the rows of each by `emit`."""

    # From a file to a table

    def _table(self, path: Path, finished: FinishedExport) -> Table:
        properties = self.effective_schema["properties"]
        values = self.constant_values(finished)
        own = {*self.constants, *PROVENANCE}
        layout = TableSchema(
            columns=tuple(self._column(name) for name in properties if name not in own),
            key=tuple(self.primary_keys if self._has_key else self.natural_key),
            constants={
                name: (type_of(properties[name]), values.get(name)) for name in self.constants
            },
            rename=self.rename,
            unique=self._has_key,
            newest=self.newest,
            copies={copy: name for copy, name in self.copies.items() if copy in properties},
            hashing=self._hashing,
        )
        return Table(
            path,
            layout,
            export_id=finished.export_id,
            exported_at=finished.exported_at,
            engine=self.run.engine,
        )

    def _column(self, name: str) -> Column:
        """Return a column with the type that its cells have; the catalog shows a hash as text."""
        hashed = self._hashing and self._hashing.applies(name)
        schema = self.effective_schema["properties"][name]
        return Column(name, type_of(self._properties.get(name, schema) if hashed else schema))

    @property
    def _has_key(self) -> bool:
        """Whether the stream's key is columns of its own, and not the ID that any row can have."""
        return bool(self.primary_keys) and "_row_id" not in self.primary_keys

    def _tell_differences(self, table: Table, file: str) -> None:
        unknown = [name for name in table.unknown if name not in self._told["unknown"]]
        missing = [name for name in table.missing if name not in self._told["missing"]]
        self._told["unknown"].update(unknown)
        self._told["missing"].update(missing)
        if unknown:
            self.logger.warning(
                "Columns of '%s' that the catalog does not know are kept in _rescued_data: %s. %s",
                file,
                ", ".join(unknown),
                self.remedy,
            )
        if missing:
            self.logger.info("Not in '%s', so null: %s.", file, ", ".join(missing))

    # From a table to messages

    @override
    def get_records(self, context: types.Context | None) -> Iterable[Record]:
        return self.load_all(lambda table, after: table.records(self._selected(), after=after))

    @override
    def _records(self, context: types.Context | None, *, write_messages: bool) -> Iterable[Record]:
        if self._takes_plain_road or not write_messages:
            return super()._records(context, write_messages=write_messages)
        return self.load_all(self._write_lines)

    @override
    def _batches(
        self, batch_config: BatchConfig, context: types.Context | None
    ) -> Iterable[Record]:
        if self._takes_plain_road:
            return self._records(context, write_messages=True)
        return self.load_all(functools.partial(self._write_batches, batch_config))

    @property
    def _takes_plain_road(self) -> bool:
        """Whether each record must pass through the SDK: for its maps, or to be counted."""
        maps = self.stream_maps
        unmapped = (
            len(maps) == 1
            and type(maps[0]) is SameRecordTransform
            and not maps[0].flattening_enabled
        )
        return self.is_dry_run or not unmapped

    def _selected(self) -> list[str]:
        """Return the selected columns, in the catalog's order."""
        return [
            name for name in self.effective_schema["properties"] if self.mask["properties", name]
        ]

    def _write_lines(self, table: Table, after: After) -> Iterable[Record]:
        with self.get_record_counter() as counter:
            for lines in table.lines(
                self.name,
                self._selected(),
                version=self._stream_version,
                time_extracted=canonical(self.run.clock.now()),
                after=after,
            ):
                self.tap.output.write_lines(lines)
                rows = lines.count(b"\n")
                counter.increment(rows)
                self._report.rows += rows
                if self.tap.stop.is_set():
                    raise Stopped
        return ()

    def _write_batches(self, config: BatchConfig, table: Table, after: After) -> Iterable[Record]:
        """Write the rows to files of the storage, and a BATCH message for each."""
        encoding = batch_encoding(config)
        storage, rows = config.storage, config.batch_size
        name = f"{storage.prefix or ''}{self.tap_name}--{self.name}-{uuid4()}"
        suffix = encoding.value.replace("+gzip", ".gz")

        def create(number: int) -> AbstractContextManager[IO[bytes]]:
            return storage.open(f"{name}-{number}.{suffix}", "wb")

        with self.get_batch_counter() as counter:
            for number in table.batches(
                create, self._selected(), encoding=encoding, rows_per_file=rows, after=after
            ):
                url = storage.get_url(f"{name}-{number}.{suffix}")
                self._tap.write_message(
                    SDKBatchMessage(self.name, config.encoding, [url], self._stream_version)
                )
                self._write_state_message()
                counter.increment()
                if self.tap.stop.is_set():
                    raise Stopped
        self._report.rows += table.count()
        return ()


def batch_encoding(config: BatchConfig) -> Encoding:
    """Return what a batch configuration asks for.

    Raises:
        ConfigurationError: It is something that this tap does not write.
    """
    asked = (config.encoding.format, config.encoding.compression or "none")
    found = {
        ("jsonl", "none"): Encoding.JSONL,
        ("jsonl", "gzip"): Encoding.JSONL_GZIP,
        ("parquet", "none"): Encoding.PARQUET,
        ("parquet", "zstd"): Encoding.PARQUET,
    }.get(asked)
    if found is None:
        msg = (
            f"Setting 'batch_config' asks for {asked[0]} with compression '{asked[1]}': choose "
            "jsonl with 'gzip' or 'none', or parquet without one."
        )
        raise ConfigurationError(msg)
    return found
