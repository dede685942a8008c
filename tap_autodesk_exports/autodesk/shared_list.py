"""Lists that are read once and serve everybody who looks at them within a while, or a run."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tap_autodesk_exports.autodesk.paging import EndlessList

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_autodesk_exports.clock import Clock

Entries = list[Any]
Read = TypeVar("Read")


class ReadOnce(Generic[Read]):
    """Something of an owner, such as all pages of a list, that is read once in a run; thread-safe.

    Args:
        read: Takes an owner (a team, a contract, an account), returns it.
    """

    def __init__(self, read: Callable[[str], Read]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._found: dict[str, Read] = {}
        self._endless: dict[str, EndlessList] = {}

    def of(self, owner: str) -> Read:
        """Return it; who comes while it is being read waits for that.

        Raises:
            TapError: It could not be read; the next one who needs it tries again.
            EndlessList: It does not end; nobody tries again, because each time takes minutes.
        """
        with self._lock:
            if owner in self._endless:
                raise self._endless[owner]
            if owner not in self._found:
                try:
                    self._found[owner] = self._read(owner)
                except EndlessList as error:
                    self._endless[owner] = error
                    raise
            return self._found[owner]


@dataclasses.dataclass(frozen=True)
class Freshness:
    """How long a list serves.

    Attributes:
        first: Seconds, at the start of a run.
        lists: How many lists are requested at that pace.
        later: Seconds from then on, for each owner whose exports are polled: so all owners
            together keep to one pace, which is what an API's limit is about.
    """

    first: float
    lists: int
    later: float


class SharedList:
    """The newest exports of an owner, fetched again when they are no longer fresh; thread-safe.

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
        """Return an export as the list shows it; None where it must be polled by itself.

        So it is the first time, because a run that resumes many finds most of them ready, and
        where the list does not show it.

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
        """Have the next poll fetch the list, because something was changed that it shows."""
        with self._lock:
            self._seen.pop(owner, None)

    def _serves(self) -> float:
        if self._lists < self._freshness.lists:
            return self._freshness.first
        return self._freshness.later * len(self._seen)
