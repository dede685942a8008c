"""What a destination must offer: rows, deletes and the state of a load change in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.destinations.layout import Layout
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.numbers import ParquetNumbers
    from tap_autodesk_exports.tables.types import Type

Part = TypeVar("Part")
Batch = Any
"""What a store makes of the rows of one load; only the store looks into it."""
STATE_NAME = "_autodesk_exports_state"
"""Name of the table, or of the file in a folder, that holds the state."""


class DestinationError(TapError):
    """A destination cannot be used, or has refused something."""


def opened(part: Part | None) -> Part:
    """Return what `Destination.open` has made.

    Raises:
        RuntimeError: It was not called.
    """
    if part is None:
        msg = "the destination is not open"
        raise RuntimeError(msg)
    return part


class Destination(Protocol):
    """Where rows are kept.

    Attributes:
        title: What it is, for a person; without a password.
        holds_one: Whether it has room for one stream only.
        holds_loads: Whether all loads of a stream are committed together: a file is written whole.
        longest_name: Bytes that the name of a column may have.
        engine: Reads the Parquet files in which rows come; set before the first row.
    """

    title: str
    holds_one: bool
    holds_loads: bool
    longest_name: int
    engine: Engine | None

    def open(self) -> None:
        """Connect, and keep other exports out until `close`.

        Raises:
            DestinationError: It cannot be reached, or another export is writing into it.
        """

    def read_state(self) -> str | None:
        """Return the state that is kept in it; None where it has none. It need not be open."""

    def write_state(self, text: str) -> None:
        """Keep a state, with no rows; called from any thread, one at a time."""

    def numbers(self, wanted: ParquetNumbers) -> ParquetNumbers:
        """Return how the rows that it takes must hold numbers, given the setting."""

    def existing(
        self, stream: str, wanted: Mapping[str, Type], numbers: ParquetNumbers
    ) -> Mapping[str, Type]:
        """Return name -> type of the columns that a stream's table has now; empty where none is.

        Args:
            stream: Name of the stream.
            wanted: Name -> type of the columns, as far as they are known: a column that is stored
                as this type is stored has this type.
            numbers: How numbers are stored.

        Raises:
            DestinationError: A column has a type that no column of an export has.
        """

    def store(self, layout: Layout) -> Store:
        """Return what takes the rows of a stream."""

    def close(self) -> None:
        """Disconnect; what is not committed is gone."""


class Store(Protocol):
    """Takes the rows of one stream."""

    def stage(self, pieces: Sequence[Path]) -> Batch:
        """Take the rows of a load; nobody sees them before `commit`.

        Args:
            pieces: Parquet files with the columns of the layout, by their names in the catalog. No
                two rows have the same key.
        """

    def discard(self, batch: Batch) -> None:
        """Forget staged rows."""

    def commit(self, batches: Sequence[Batch], state: str, *, gone: bool) -> None:
        """Change rows and state in one step: whoever reads sees those before it or those after it.

        Args:
            batches: Staged rows, in order. Each replaces the rows with its keys.
            state: The state that is kept from then on.
            gone: Whether the batches hold all rows that there are, so that others are removed.

        Raises:
            DestinationError: It failed; rows and state are as they were.
        """
