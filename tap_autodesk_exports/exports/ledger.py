"""What was asked for and is not loaded yet: kept in the Singer state, so that no run asks twice."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.exports.export import ExportSpec, PendingExport

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

logger = logging.getLogger("tap-autodesk-exports")

KEPT = dt.timedelta(days=30)
"""No API keeps an export for longer (documented: Data Connector 30 days, Insights two weeks)."""

Entry = dict[str, Any]
"""An `PendingExport` as JSON."""


class Ledger:
    """The pending exports of this tap, written to the state whenever one is added.

    The entries are a list, because Meltano merges objects of two states key by key, which would
    bring removed entries back, but replaces lists whole.

    Args:
        entries: The list as the last run left it in the state.
        lock: Held while the list changes. Who removes an entry because its rows are loaded holds
            it until the STATE message that says so is written.
        publish: Writes a STATE message with `entries()`; called with `lock` held.
    """

    def __init__(
        self, entries: Iterable[Entry], lock: threading.RLock, publish: Callable[[], None]
    ) -> None:
        self.lock = lock
        self._publish = publish
        self._asked = {item.spec.key: item for item in _readable(entries)}
        self._entries = {key: dataclasses.asdict(item) for key, item in self._asked.items()}

    def pending(self, key: str) -> PendingExport | None:
        """Return what is pending under a key of `ExportSpec`."""
        with self.lock:
            return self._asked.get(key)

    def unanswered(self, api: str) -> list[PendingExport]:
        """Return the exports of an API that were asked for without an answer."""
        with self.lock:
            return [a for a in self._asked.values() if a.spec.api == api and a.id is None]

    def known_ids(self) -> list[str]:
        """Return the server's IDs of everything pending."""
        with self.lock:
            return [pending.id for pending in self._asked.values() if pending.id]

    def note(self, pending: PendingExport) -> None:
        """Add or replace an entry, and write the state."""
        with self.lock:
            self._asked[pending.spec.key] = pending
            self._entries[pending.spec.key] = dataclasses.asdict(pending)
            self._publish()

    def drop(self, key: str) -> None:
        """Remove an entry; the next STATE message says so."""
        with self.lock:
            self._asked.pop(key, None)
            self._entries.pop(key, None)

    def forget_expired(self, now: dt.datetime) -> None:
        """Remove what was asked for so long ago that no API has it any more."""
        with self.lock:
            for key, pending in list(self._asked.items()):
                at = instant(pending.asked_at)
                if at is None or now - at > KEPT:
                    logger.info(
                        "The %s was asked for at %s and is given up: it has expired.",
                        pending.spec.title,
                        pending.asked_at,
                    )
                    self.drop(key)

    def entries(self) -> list[Entry]:
        """Return the list for the state."""
        with self.lock:
            return list(self._entries.values())


def _readable(entries: Iterable[Entry]) -> Iterator[PendingExport]:
    """Yield what the entries say; warn of those that cannot be read, and ignore them.

    Keys that this release does not know are left out: a newer one may have written them.
    """
    unreadable = 0
    for entry in entries:
        try:
            yield _from_entry(entry)
        except (TypeError, ValueError):
            unreadable += 1
    if unreadable:
        logger.warning(
            "%d pending exports of the state cannot be read and are ignored; what they stood for "
            "is requested again. Is it the state of a newer release?",
            unreadable,
        )


def _from_entry(entry: Entry) -> PendingExport:
    """Read an entry.

    Raises:
        TypeError: A key is missing, or a value is not what it must be.
    """
    given = entry.get("spec")
    if not isinstance(given, dict):
        msg = "an entry has no export"
        raise TypeError(msg)
    spec = ExportSpec(**{name: value for name, value in given.items() if name in _SPEC})
    texts = (spec.api, spec.owner, spec.name, spec.slot, entry.get("asked_at"))
    optional = (spec.start, spec.end, spec.existing, entry.get("id"))
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(text is None or isinstance(text, str) for text in optional)
        or not isinstance(spec.body, dict)
    ):
        msg = "a value of an entry is of another type"
        raise TypeError(msg)
    return PendingExport(spec, str(entry["asked_at"]), mark=entry.get("mark"), id=entry.get("id"))


_SPEC = frozenset(field.name for field in dataclasses.fields(ExportSpec))
