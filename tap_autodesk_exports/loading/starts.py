"""From where the partitions of a dated dataset are loaded, and whether a gap is in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.clock import canonical, instant

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

UNBROKEN = "unbroken_from"
"""Key of a bookmark: from where all is loaded, where a later `start_date` left a gap before it."""


class Starts:
    """From where this run reads each partition, as planned."""

    def __init__(self) -> None:
        self._planned: list[tuple[Mapping[str, str], str]] = []

    def plan(self, partition: Mapping[str, str], start: dt.datetime) -> None:
        """Take note of what is read."""
        self._planned.append((partition, canonical(start)))

    @property
    def partitions(self) -> Iterator[Mapping[str, str]]:
        """The partitions that this run reads."""
        return (partition for partition, _ in self._planned)

    def note(
        self, state: dict[str, Any], partition: Mapping[str, str], begun: str, before: str | None
    ) -> None:
        """Note in a bookmark from where rows are loaded: first of all, and since the last gap.

        Args:
            state: The bookmark.
            partition: Whose it is.
            begun: Where the export starts that was loaded.
            before: Up to where the partition was loaded; None for nothing.
        """
        # A first file may begin later than what is wanted, such as with a contract.
        planned = [start for context, start in self._planned if context == partition]
        start = min([begun, *planned])
        if (before and before < start) or start < (state.get(UNBROKEN) or ""):
            state[UNBROKEN] = start
        if not before or start < state.get("start", ""):
            state["start"] = start

    def after(
        self, start: dt.datetime, bookmark: Callable[[Mapping[str, str]], dict[str, Any]]
    ) -> str | None:
        """Return the latest day from which a partition of the run is loaded, and whose it is.

        None where the start date is not before it; else it has no effect any more.

        Args:
            start: The start date.
            bookmark: Returns the bookmark of a partition.
        """
        first, whose = "", ""
        for partition in self.partitions:
            state = bookmark(partition)
            begins = instant(state.get(UNBROKEN) or state.get("start"))
            if begins and canonical(begins) > first:
                first, whose = canonical(begins), " ".join(next(iter(partition.items()), ()))
        if canonical(start) >= first:
            return None
        return f"{first[:10]} ({whose})" if whose else first[:10]
