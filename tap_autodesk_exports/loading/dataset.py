"""What is loaded, as declarations, and what an API must offer so that a run can load it."""

from __future__ import annotations

import abc
import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Protocol

from tap_autodesk_exports.loading.bookmarks import (
    FULL_TABLE,
    INCREMENTAL,
    Bookmarks,
    Replication,
)
from tap_autodesk_exports.loading.identity import Identity
from tap_autodesk_exports.tables.layout import ROW_ID, TableSchema
from tap_autodesk_exports.tables.types import Column, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.errors import TapError
    from tap_autodesk_exports.exports.export import (
        ExportService,
        ExportSpec,
        FinishedExport,
        QuotaUsedUp,
    )
    from tap_autodesk_exports.loading.bookmarks import States
    from tap_autodesk_exports.tables.hashing import Hashing
    from tap_autodesk_exports.tables.layout import KeyPart


NO_PART = "no part of this run (a run with `--full-refresh` forgets it)"


def not_personal(_column: str) -> bool:
    """Tell that a column holds no personal data."""
    return False


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A table that is made of the files of exports: what is known of it before any run.

    Attributes:
        name: Name of the stream.
        columns: Columns of the file, in order, with their types.
        api: Name of the API.
        constants: Columns that are not in the file, with one value for each export.
        primary_keys: The key; `_row_id` where no columns are known to be one.
        natural_key: Columns that identify a row, hashed into `_row_id`; empty: all columns. A part
            may be several columns, of which the first that has a value counts. Only what does not
            change: IDs and days, no names that an admin can change.
        replication_key: Column of the bookmark, for incremental replication.
        is_dated: Whether exports are requested by date, so that bookmarks are ends of windows.
        selected_by_default: Whether discovery selects it.
        rename: Name in a file's header -> name of the column.
        copies: Columns that are in no file and repeat another one: name -> name of that one.
        newest: Columns that order versions of a row, where a file may hold several: see
            `TableSchema`.
        remedy: What to do about columns of a file that the catalog does not know.
        is_personal: Takes the name of a column, known or not; tells whether it holds personal data.
    """

    name: str
    columns: Mapping[str, Type]
    api: str
    constants: Mapping[str, Type] = dataclasses.field(default_factory=dict)
    primary_keys: tuple[str, ...] = (ROW_ID,)
    natural_key: tuple[KeyPart, ...] = ()
    replication_key: str | None = None
    is_dated: bool = False
    selected_by_default: bool = True
    rename: Callable[[str], str] = str
    copies: Mapping[str, str] = dataclasses.field(default_factory=dict)
    newest: tuple[tuple[str, ...], ...] = ()
    remedy: str = "A newer release of this tap may know them."
    is_personal: Callable[[str], bool] = not_personal

    @property
    def replication(self) -> Replication:
        """How it is replicated by itself: by date where it is dated, else the full table."""
        if not (self.is_dated and self.replication_key):
            return Replication(FULL_TABLE, self.is_dated)
        types = {**self.constants, **self.columns}
        key = self.replication_key
        return Replication(INCREMENTAL, self.is_dated, key, types.get(key))

    def table_schema(
        self,
        columns: tuple[Column, ...] | None = None,
        primary_keys: tuple[str, ...] | None = None,
        hashing: Hashing | None = None,
    ) -> TableSchema:
        """Return how files are read as this table, the values of constants still missing.

        Args:
            columns: The columns to read, where a catalog has others than the dataset.
            primary_keys: The key, where a catalog has another one.
            hashing: Which values are replaced by a hash.
        """
        columns = columns or tuple(Column(name, type_) for name, type_ in self.columns.items())
        keys = self.primary_keys if primary_keys is None else primary_keys
        has_key = bool(keys) and ROW_ID not in keys
        names = {column.name for column in columns}
        return TableSchema(
            columns=columns,
            key=tuple(keys if has_key else self.natural_key),
            constants={name: (type_, None) for name, type_ in self.constants.items()},
            rename=self.rename,
            unique=has_key,
            newest=self.newest,
            copies={copy: name for copy, name in self.copies.items() if copy in names},
            hashing=hashing,
        )


@dataclasses.dataclass(frozen=True)
class Load:
    """An export that a dataset needs.

    Attributes:
        spec: The export.
        partition: Context of the bookmark that it moves; empty for the dataset's own.
        error: Why it is not available, where that is known before it is requested.
    """

    spec: ExportSpec
    partition: Mapping[str, str] = dataclasses.field(default_factory=dict)
    error: TapError | None = None


@dataclasses.dataclass(frozen=True)
class Selected:
    """A dataset that this run loads.

    Attributes:
        dataset: The declaration.
        bookmarks: How far it is loaded.
        schema: How its files are read.
        has_versions: Whether each full load is a new version of the whole table, so that rows that
            are gone are removed.
        may_replace: Whether a version may replace the whole table where its rows get other keys.
    """

    dataset: Dataset
    bookmarks: Bookmarks
    schema: TableSchema
    has_versions: bool = False
    may_replace: bool = False

    @classmethod
    def whole(cls, dataset: Dataset, states: States, hashing: Hashing | None = None) -> Selected:
        """Select all columns of a dataset, with its own key and replication.

        Args:
            dataset: The dataset.
            states: Where its bookmarks are kept.
            hashing: Which values are replaced by a hash.
        """
        names = [*dataset.constants, *dataset.columns]
        bookmarks = Bookmarks(states, dataset.replication, names, hashing)
        return cls(dataset, bookmarks, dataset.table_schema(hashing=hashing))

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.dataset.name

    @functools.cached_property
    def identity(self) -> Identity:
        """What the keys of its rows are made of."""
        return Identity.of(self.schema)


class Source(Protocol):
    """One API in a run. A method that cannot answer may raise a `TapError`.

    Attributes:
        service: Makes the API's exports.
    """

    service: ExportService

    @abc.abstractmethod
    def plan(self, selected: Sequence[Selected]) -> Mapping[str, list[Load] | TapError]:
        """Name the exports that this run needs, oldest window first.

        Args:
            selected: All selected datasets of the API.

        Returns:
            Name of a dataset -> its loads, or why there is no telling what it needs.
        """

    @abc.abstractmethod
    def fetch(self, dataset: Dataset, finished: FinishedExport, folder: Path) -> Path | None:
        """Fetch a dataset's file of a finished export into a folder.

        None where the export has no file of the dataset, so that there is no telling whether it has
        rows.

        Raises:
            TapError: It could not be fetched whole.
        """

    def constants(
        self,
        dataset: Dataset,  # noqa: ARG002
        finished: FinishedExport,  # noqa: ARG002
    ) -> Mapping[str, str | None]:
        """Return the values of the dataset's constants for the rows of an export."""
        return {}

    # What only some APIs need: without it, nothing happens.

    def incomplete(self, dataset: Dataset) -> str | None:  # noqa: ARG002
        """Return why the loads of this run may not be all that there is; None where they are."""
        return None

    def left_out(self, selected: Selected, loads: Iterable[Load]) -> str | None:
        """Return whose rows were loaded before and are no part of this run; None where all are.

        Of the context of a partition, the first value says whose rows it has; an empty one has all.
        """
        owners = [next(iter(load.partition.values()), None) for load in loads]
        for context in selected.bookmarks.loaded_partitions() if None not in owners else ():
            name, owner = next(iter(context.items()))
            if owner not in owners:
                return f"{name} {owner} was loaded before and is {NO_PART}"
        return None

    def instead_of(
        self,
        dataset: Dataset,  # noqa: ARG002
        load: Load,  # noqa: ARG002
        error: QuotaUsedUp,  # noqa: ARG002
    ) -> ExportSpec | None:
        """Return the export to load where no more are accepted for now; None: none will do."""
        return None

    def remember(
        self, dataset: Dataset, load: Load, finished: FinishedExport, state: dict[str, Any]
    ) -> None:
        """Note in a bookmark what else the next run must know; called when a load is complete."""

    def damaged(self, dataset: Dataset, finished: FinishedExport) -> None:
        """Discard what is kept of a dataset's file, because it is about to be fetched again."""

    def release(self, spec: ExportSpec) -> None:
        """Remove what is kept of an export's files: no load of this run needs them any more."""
