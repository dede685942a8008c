"""What was requested and is not loaded yet: kept in the Singer state, so that no run asks twice."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.exports.export import ExportSpec, PendingExport

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

logger = logging.getLogger("tap-autodesk-exports")

KEPT = dt.timedelta(days=30)
"""How long an export is kept on the server, where its API does not say otherwise."""
SKEW = dt.timedelta(days=1)
"""An export that was requested further in the future than this was not requested by a clock."""
Entry = dict[str, Any]
"""A `PendingExport` as JSON."""


class Ledger:
    """The pending exports of this tap, written to the state whenever one is added.

    The entries are a list, because Meltano merges objects of two states key by key, which would
    bring removed entries back, but replaces lists whole.

    Args:
        entries: The list as the last run left it in the state; what cannot be read of it is named
            in the log, and the rest is used.
        lock: Held while the list changes. Who removes an entry because its rows are loaded holds
            it until the STATE message that says so is written.
        publish: Writes a STATE message with `entries()`; called with `lock` held.
    """

    def __init__(self, entries: Any, lock: threading.RLock, publish: Callable[[], None]) -> None:  # noqa: ANN401
        self.lock = lock
        self._publish = publish
        self._asked = {item.spec.key: item for item in _read(entries)}
        self._entries = {key: _entry(item) for key, item in self._asked.items()}

    def pending(self, key: str) -> PendingExport | None:
        """Return what is pending under a key of `ExportSpec`."""
        with self.lock:
            found = self._asked.get(key)
            return None if found is None or found.is_given_up else found

    def before(self, key: str) -> PendingExport | None:
        """Return what was requested last under a key, given up or not."""
        with self.lock:
            return self._asked.get(key)

    def unanswered(self, api: str) -> list[PendingExport]:
        """Return the exports of an API that were requested without an answer."""
        with self.lock:
            return [a for a in self._asked.values() if a.spec.api == api and a.id is None]

    def known_ids(self) -> list[str]:
        """Return the server's IDs of everything pending or given up."""
        with self.lock:
            return [one for pending in self._asked.values() for one in pending.all_given_up]

    def note(self, pending: PendingExport) -> None:
        """Add or replace an entry, and write the state."""
        with self.lock:
            self._asked[pending.spec.key] = pending
            self._entries[pending.spec.key] = _entry(pending)
            self._publish()

    def drop(self, key: str) -> None:
        """Remove an entry; the next STATE message says so."""
        with self.lock:
            self._asked.pop(key, None)
            self._entries.pop(key, None)

    def give_up(self, pending: PendingExport) -> None:
        """Note that an export must not be used, by this run or the next one.

        It stays in the list for a while: else it would be found again on the server.
        """
        given_up = dataclasses.replace(pending, given_up=pending.all_given_up)
        with self.lock:
            self._asked[pending.spec.key] = given_up
            self._entries[pending.spec.key] = _entry(given_up)

    def given_up_ids(self) -> frozenset[str]:
        """Return the server's IDs of what must not be used."""
        with self.lock:
            return frozenset(one for item in self._asked.values() for one in item.given_up)

    def forget_expired(self, now: dt.datetime, kept: Mapping[str, dt.timedelta]) -> None:
        """Remove what was requested so long ago that its API does not have it any more.

        Args:
            now: The present instant.
            kept: Name of an API -> how long it keeps an export.
        """
        with self.lock:
            for key, pending in list(self._asked.items()):
                at = instant(pending.asked_at)
                age = kept.get(pending.spec.api, KEPT)
                if at is None or now - at > age or at - now > SKEW:
                    if not pending.is_given_up:
                        logger.info(
                            "The %s was requested at %s and is given up: it has expired.",
                            pending.spec.title,
                            pending.asked_at,
                        )
                    self.drop(key)

    def entries(self) -> list[Entry]:
        """Return the list for the state."""
        with self.lock:
            return list(self._entries.values())


def _entry(pending: PendingExport) -> Entry:
    entry = dataclasses.asdict(pending)
    del entry["loaded"]  # the mark tells it, where it is needed again
    if not pending.given_up:
        del entry["given_up"]
    return entry


def _read(entries: Any) -> list[PendingExport]:  # noqa: ANN401
    if entries is None:
        return []
    if not isinstance(entries, list):
        logger.warning(
            "The pending exports in the state cannot be read and are ignored: 'exports' is not a "
            "list. What was requested may be requested again."
        )
        return []
    found = []
    for number, entry in enumerate(entries):
        try:
            found.append(_from_entry(entry))
        except _UnreadableError as error:
            logger.warning(
                "Entry %d of the pending exports in the state cannot be read and is ignored: %s. "
                "What was requested may be requested again.",
                number,
                error,
            )
    return found


class _UnreadableError(Exception):
    """An entry is none; the text says why, without what it holds."""


def _from_entry(entry: Any) -> PendingExport:  # noqa: ANN401
    """Read an entry; keys of a newer release are left aside."""
    spec = _value(entry, "spec", Mapping)
    texts = {name: _value(spec, name, str) for name in ("api", "owner", "name")}
    optional = {name: _value(spec, name, str, None) for name in ("start", "end", "existing")}
    return PendingExport(
        ExportSpec(
            **texts,
            **optional,
            slot=_value(spec, "slot", str, ""),
            body=_value(spec, "body", Mapping, {}),
        ),
        _value(entry, "asked_at", str),
        mark=entry.get("mark"),
        id=_value(entry, "id", str, None),
        given_up=_texts(entry, "given_up"),
    )


_REQUIRED = object()


def _value(values: Any, name: str, kind: type | tuple[type, ...], default: Any = _REQUIRED) -> Any:  # noqa: ANN401
    if not isinstance(values, Mapping):
        msg = "it is no object"
        raise _UnreadableError(msg)
    value = values.get(name)
    if value is None and default is not _REQUIRED:
        return default
    if not isinstance(value, kind):
        msg = f"'{name}' is missing or of another type"
        raise _UnreadableError(msg)
    return value


def _texts(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = _value(values, name, (list, tuple), [])
    if not all(isinstance(item, str) for item in found):
        msg = f"'{name}' holds something else than text"
        raise _UnreadableError(msg)
    return tuple(found)
