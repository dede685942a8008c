"""How an export comes to be: resumed, found on the server, or requested. None is requested twice.

One at a time for each API: two that look alike could not be told apart when the answers to both are
lost.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import threading
from typing import TYPE_CHECKING

from tap_autodesk_exports.clock import canonical, instant, pause
from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.exports.export import JITTER, ExportSpec, Loaded, PendingExport

if TYPE_CHECKING:
    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import ExportService
    from tap_autodesk_exports.exports.ledger import Ledger

logger = logging.getLogger("tap-autodesk-exports")

SEARCHED = 60.0
"""Seconds for which an export is searched for whose answer was lost: the list may be late."""
FIRST_SEARCH = 2.0
"""Seconds until it is searched for the first time; each further pause is twice as long."""
GIVEN_UP = 120.0
"""Seconds in which nothing is requested of an API that answers no request."""
IN_A_ROW = 2
"""So many exports whose request was not answered mean that it is the API that fails, and not one
of them: the others would each be searched for as long."""
LISTED_BY_NOW = dt.timedelta(minutes=10)
"""What was requested longer ago than this is in the list if it was executed: one look is enough."""


class Submission:
    """The exports of one API, up to the moment in which they have an ID.

    Args:
        service: The API.
        ledger: Where pending exports are noted.
        clock: Tells the time and waits.
        stop: Ends every wait when set.
    """

    def __init__(
        self, service: ExportService, ledger: Ledger, clock: Clock, stop: threading.Event
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._lock = threading.Lock()
        self._searched: set[str] = set()
        self._requested: set[str] = set()
        self._failures = _Failures()

    def begin(self, spec: ExportSpec, loaded: Loaded) -> PendingExport:
        """Return the export: a certain one, one that is pending, one that is there, or a new one.

        Args:
            spec: What is wanted.
            loaded: What the bookmarks say was loaded.

        Raises:
            TapError: None of them is available.
        """
        if spec.existing:
            return PendingExport(spec, canonical(self._clock.now()), id=spec.existing)
        if pending := self._pending(spec, loaded):
            return pending
        with self._lock:
            self._search_unanswered(spec)
            return (
                self._pending(spec, loaded)
                or self._existing(spec, loaded)
                or self._request(spec, loaded)
            )

    def again(self, spec: ExportSpec, loaded: Loaded, *, failed: bool = False) -> PendingExport:
        """Request an export in place of one that is of no use.

        Args:
            spec: What is wanted.
            loaded: What the bookmarks say was loaded.
            failed: Whether the one before failed on the server, so that it is of no use later on.

        Raises:
            TapError: It could not be requested; the one before stays pending, unless it failed.
        """
        with self._lock:
            return self._request(spec, loaded, keep=not failed)

    def is_of_this_run(self, spec: ExportSpec) -> bool:
        """Tell whether this run has requested an export: then it does not request another one."""
        return bool(spec.existing) or spec.key in self._requested

    # Resumed

    def _pending(self, spec: ExportSpec, loaded: Loaded) -> PendingExport | None:
        """Return the export that an earlier run requested, if it serves."""
        pending = self._ledger.pending(spec.key)
        if pending is None or pending.id is None:
            return None
        # Where it starts later, rows would be missed; where it ends earlier, they come next.
        starts_in_time = not (spec.start and pending.spec.start) or pending.spec.start <= spec.start
        if not starts_in_time or not self._service.covers(pending.spec, spec):
            logger.warning(
                "The pending %s (%s) was requested with different settings and is ignored.",
                spec.title,
                pending.id,
            )
            self._ledger.drop(spec.key)
            return None
        if loaded.overtakes(pending, spec):
            logger.info(
                "The %s requested at %s is older than what was loaded since and is ignored.",
                spec.title,
                pending.asked_at,
            )
            self._ledger.give_up(pending)  # else it would be found on the server
            return None
        if loaded.outlasts(pending, self._clock.now()):
            logger.info(
                "A part of the %s requested at %s is loaded; the rest is loaded from a newer one.",
                spec.title,
                pending.asked_at,
            )
            self._ledger.give_up(pending)
            return None
        logger.info("Resuming the %s requested at %s.", spec.title, pending.asked_at)
        return pending

    # Found on the server

    def _search_unanswered(self, spec: ExportSpec) -> None:
        """Search for each export whose answer an earlier run did not live to see.

        All of the API's, before anything new is requested: what is new may look like them.
        """
        for pending in self._ledger.unanswered(self._service.name):
            key = pending.spec.key
            if key in self._searched:
                continue
            try:
                if not self._found(pending) and self._may_be_listed_late(pending):
                    self._search(pending)
            except TapError as error:
                if key == spec.key or isinstance(error, Stopped):
                    raise
                logger.info("The %s cannot be searched for: %s", pending.spec.title, error)
            else:
                self._searched.add(key)

    def _may_be_listed_late(self, pending: PendingExport) -> bool:
        at = instant(pending.asked_at)
        return at is not None and abs(self._clock.now() - at) < LISTED_BY_NOW

    def _search(self, pending: PendingExport) -> PendingExport | None:
        """Search for an export whose answer was lost, ever more rarely."""
        pause, waited = FIRST_SEARCH, 0.0
        while waited < SEARCHED:
            self._pause(pause)
            if found := self._found(pending):
                return found
            waited += pause
            pause = min(2 * pause, max(SEARCHED - waited, FIRST_SEARCH))
        logger.info("The server does not know the %s.", pending.spec.title)
        return None

    def _found(self, pending: PendingExport) -> PendingExport | None:
        """Look once for an export whose answer was lost."""
        export_id = self._service.find_lost(pending, self._ledger.known_ids())
        if export_id is None:
            return None
        logger.info("Found the %s on the server (%s).", pending.spec.title, export_id)
        pending = dataclasses.replace(pending, id=export_id)
        self._ledger.note(pending)
        return pending

    def _existing(self, spec: ExportSpec, loaded: Loaded) -> PendingExport | None:
        """Return an export that a run requested whose state was lost."""
        wanted = self._wanted(spec, loaded)
        pending = self._service.find_existing(wanted, self._ledger.known_ids())
        if pending is None or loaded.overtakes(pending, spec):
            return None
        logger.warning(
            "The server has the %s already (%s, requested at %s), which the state does not know: "
            "using it. Was the last run interrupted, or its state lost?",
            spec.title,
            pending.id,
            pending.asked_at,
        )
        self._ledger.note(pending)
        return pending

    # Requested

    def _wanted(self, spec: ExportSpec, loaded: Loaded) -> PendingExport:
        """Return the export as it would be requested now."""
        before = self._ledger.before(spec.key)
        given_up = before.all_given_up if before else ()
        now = canonical(self._clock.now())
        return PendingExport(spec, now, given_up=given_up, loaded=loaded.marks)

    def _request(self, spec: ExportSpec, loaded: Loaded, *, keep: bool = True) -> PendingExport:
        """Request an export; it is in the state before and after."""
        self._failures.check(self._clock.monotonic())
        before = self._ledger.before(spec.key)
        for _ in range(self._service.attempts):
            pending = self._wanted(spec, loaded)
            pending = dataclasses.replace(pending, mark=self._service.mark(pending))
            self._ledger.note(pending)
            self._searched.add(spec.key)
            try:
                pending = dataclasses.replace(pending, id=self._service.submit(pending))
            except TapError as error:
                if not error.executed:
                    self._restore(spec, before if keep else None)
                    raise
                self._requested.add(spec.key)
                if found := self._search(pending):
                    return found
                failure = error
            else:
                self._requested.add(spec.key)
                self._failures.clear()
                self._ledger.note(pending)
                logger.info("Requested the %s.", spec.title)
                return pending
        # It stays noted: the next run searches once more before it requests one.
        self._failures.add(failure, self._clock.monotonic())
        raise failure

    def _restore(self, spec: ExportSpec, before: PendingExport | None) -> None:
        """Have the state say again what it said before a request that was refused."""
        if before:
            self._ledger.note(before)
        else:
            self._ledger.drop(spec.key)

    def _pause(self, seconds: float) -> None:
        pause(self._clock, seconds, self._stop, jitter=JITTER)


class _Failures:
    """The exports in a row whose requests were not answered."""

    def __init__(self) -> None:
        self._count = 0
        self._last: TapError | None = None
        self._at = 0.0

    def add(self, failure: TapError, now: float) -> None:
        self._count += 1
        self._last, self._at = failure, now

    def clear(self) -> None:
        self._count, self._last = 0, None

    def check(self, now: float) -> None:
        """Raise the last failure where another request would only fail in the same way."""
        if self._last and self._count >= IN_A_ROW and now - self._at < GIVEN_UP:
            raise self._last
