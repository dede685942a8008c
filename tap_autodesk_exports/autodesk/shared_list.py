"""One list of exports serves all that are looked at within a while."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_autodesk_exports.clock import Clock

Entries = list[Any]


@dataclasses.dataclass(frozen=True)
class Freshness:
    """How long a list serves.

    Attributes:
        first: Seconds, at the begin of a run.
        lists: How many lists are asked for at that pace.
        later: Seconds from then on, for each owner whose exports are looked at: so all owners
            together keep to one pace, which is what an API's limit is about.
    """

    first: float
    lists: int
    later: float


class SharedList:
    """The newest exports of an owner, fetched anew when they are no longer fresh; thread-safe.

    Args:
        fetch: Takes an owner (a contract, an account), returns its newest exports.
        freshness: How long they serve.
        clock: Tells the time.
    """

    def __init__(self, fetch: Callable[[str], Entries], freshness: Freshness, clock: Clock) -> None:
        self._fetch = fetch
        self._freshness = freshness
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, Entries]] = {}
        self._lists = 0
        self._first_looks: dict[str, float] = {}

    def listed(self, owner: str, key: str, export_id: str) -> Mapping[str, Any] | None:
        """Return an export as the list tells it; None where it is to be looked at by itself.

        So it is the first time, because a run that takes many up finds most of them ready, and
        where the list does not tell it.

        Args:
            owner: The export's owner.
            key: Name of the ID in the list.
            export_id: The export's ID.

        Raises:
            TapError: The exports cannot be listed.
        """
        first = self._first_looks.get(export_id)
        if first is None:
            self._first_looks[export_id] = self._clock.monotonic()
            return None
        entries = self.of(owner, newer_than=first)
        return next(
            (
                entry
                for entry in entries
                if isinstance(entry, Mapping) and str(entry.get(key)) == export_id
            ),
            None,
        )

    def of(self, owner: str, *, newer_than: float = float("-inf")) -> Entries:
        """Return an owner's newest exports, as they were after a moment of the clock.

        Raises:
            TapError: They cannot be listed.
        """
        with self._lock:
            at, entries = self._seen.get(owner, (float("-inf"), []))
            if at < newer_than or self._clock.monotonic() - at > self._serves():
                # What the server does while it answers need not be in its answer.
                now = self._clock.monotonic()
                entries = self._fetch(owner)
                self._seen[owner] = (now, entries)
                self._lists += 1
            return entries

    def forget(self, owner: str) -> None:
        """Have the next look fetch the list, because something was changed that it tells."""
        with self._lock:
            self._seen.pop(owner, None)

    def _serves(self) -> float:
        if self._lists < self._freshness.lists:
            return self._freshness.first
        return self._freshness.later * len(self._seen)
