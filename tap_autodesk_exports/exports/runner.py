"""The life of an export, in the order in which things happen.

taken up from the ledger, or found on the server, or asked for -> noted in the state -> looked at
until it is ready -> made again where it failed -> handed to the stream that waits for it. What the
stream then does with its files begins in `download.py`.

Many exports live side by side, each in a thread of its own; all that they share is the ledger.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.exports.export import (
    ExportError,
    ExportService,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    NotFinished,
    PendingExport,
    Status,
)
from tap_autodesk_exports.exports.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.ledger import Ledger

logger = logging.getLogger("tap-autodesk-exports")

FIRST_PAUSE = 0.5
GROWTH = 0.05
"""The next look waits this share of the time waited so far: a finished export is noticed when at
most a twentieth of its own time has passed again. What so many looks may cost in requests is for
the service to say: one list serves the looks of all its exports."""
LOST_ANSWER_SEARCHES = 3
LOST_ANSWER_PAUSE = 2.0
STOP_NOTICED = 0.5
"""Seconds after which whoever waits for an export notices that the run is being ended."""
LAST_REQUESTS = 3.0
"""Seconds that requests under way get to be answered when the run is being ended."""


class Runner:
    """Looks after all exports of a run.

    Args:
        services: Name of an API -> its exports.
        ledger: Where pending exports are noted.
        clock: Tells the time and waits.
        stop: Ends every wait when set; pending exports stay in the ledger.
        at_once: How many exports of one API may be under way at the same time.
        longest_pause: Most seconds between two looks; None leaves it to the service.
        timeout: Seconds after which this run waits no longer for an export.
    """

    def __init__(  # noqa: PLR0913
        self,
        services: Mapping[str, ExportService],
        ledger: Ledger,
        clock: Clock,
        stop: threading.Event,
        *,
        at_once: int,
        longest_pause: float | None,
        timeout: float,
    ) -> None:
        self._services = services
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._longest_pause = longest_pause
        self._timeout = timeout
        self._futures: dict[str, Future[FinishedExport]] = {}
        self._slots = {name: threading.Semaphore(at_once) for name in services}
        self._submitting = {name: threading.Lock() for name in services}
        self._searched: set[str] = set()
        self.progress = Progress(clock)

    # Begun

    def start(self, spec: ExportSpec) -> None:
        """Begin the life of an export, unless one for the same part is under way already."""
        if spec.key not in self._futures:
            self._futures[spec.key] = Future()
            self.progress.started(spec)
            # A daemon, so that a server that has fallen silent does not keep the process alive.
            threading.Thread(target=self._fulfil, args=(spec,), name=spec.key, daemon=True).start()

    def _fulfil(self, spec: ExportSpec) -> None:
        life = self._futures[spec.key]
        try:
            with self._slots[spec.api]:
                if self._stop.is_set():
                    raise Stopped  # noqa: TRY301 - it is the result, like every other error
                life.set_result(self._live(spec))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            life.set_exception(error)
        finally:
            self.progress.ended(spec)

    def _live(self, spec: ExportSpec) -> FinishedExport:
        service = self._services[spec.api]
        pending = self._begin(service, spec)
        status = self._wait(service, pending)
        for attempt in range(1, service.attempts):
            if status.state not in {Status.FAILED, Status.GONE} or spec.existing:
                break
            pending = self._make_again(service, spec, pending, status, first=attempt == 1)
            status = self._wait(service, pending)
        if status.state is Status.READY:
            logger.debug("The %s is ready (%s).", spec.title, status.export_id)
            return FinishedExport(pending, status)
        self._ledger.drop(spec.key)
        raise ExportError(_ending(pending, status))

    # Taken up, or found on the server, or asked for

    def _begin(self, service: ExportService, spec: ExportSpec) -> PendingExport:
        """Return the export: a certain one, one that is pending, or a new one.

        One at a time for each API: two that look alike could otherwise not be told apart when
        the answers to both are lost.
        """
        if spec.existing:
            return PendingExport(spec, canonical(self._clock.now()), id=spec.existing)
        if pending := self._pending(service, spec):
            return pending
        with self._submitting[service.name]:
            self._search_unanswered(service, spec)
            return (
                self._pending(service, spec)
                or self._under_way(service, spec)
                or self._ask(service, spec)
            )

    def _pending(self, service: ExportService, spec: ExportSpec) -> PendingExport | None:
        """Return the export that an earlier run asked for, if it serves."""
        pending = self._ledger.pending(spec.key)
        if pending is None or pending.id is None:
            return None
        # Where it begins later, rows would be missed; where it ends earlier, they come next.
        begins_in_time = not (spec.start and pending.spec.start) or pending.spec.start <= spec.start
        if not begins_in_time or not service.covers(pending.spec, spec):
            logger.warning(
                "The pending %s (%s) was asked for with other settings and is left aside.",
                spec.title,
                pending.id,
            )
            self._ledger.drop(spec.key)
            return None
        logger.info("Taking up the %s asked for at %s.", spec.title, pending.asked_at)
        return pending

    def _search_unanswered(self, service: ExportService, spec: ExportSpec) -> None:
        """Search once for each export whose answer an earlier run did not live to see.

        All of the API's, before anything new is asked for: what is new may look like them.
        """
        for pending in self._ledger.unanswered(service.name):
            key = pending.spec.key
            if key in self._searched:
                continue
            try:
                self._found(service, pending)
            except TapError as error:
                if key == spec.key:
                    raise
                logger.info("The %s cannot be searched for: %s", pending.spec.title, error)
            else:
                self._searched.add(key)

    def _found(self, service: ExportService, pending: PendingExport) -> PendingExport | None:
        """Search the server for an export whose answer was lost."""
        export_id = service.find_lost(pending, self._ledger.known_ids())
        if export_id is None:
            logger.info("The server does not know the %s.", pending.spec.title)
            return None
        logger.info("Found the %s on the server (%s).", pending.spec.title, export_id)
        pending = dataclasses.replace(pending, id=export_id)
        self._ledger.note(pending)
        return pending

    def _under_way(self, service: ExportService, spec: ExportSpec) -> PendingExport | None:
        """Return an export that the server is making and the state does not know."""
        pending = service.find_running(spec, self._ledger.known_ids())
        if pending is None:
            return None
        logger.warning(
            "The server is making the %s already (%s), which the state does not know: taking it "
            "up. Was the state of the last run lost?",
            spec.title,
            pending.id,
        )
        self._ledger.note(pending)
        return pending

    def _ask(self, service: ExportService, spec: ExportSpec) -> PendingExport:
        """Ask for an export; it is in the state before and after."""
        for _ in range(service.attempts):
            pending = PendingExport(spec, canonical(self._clock.now()), mark=service.mark(spec))
            self._ledger.note(pending)
            self._searched.add(spec.key)
            try:
                pending = dataclasses.replace(pending, id=service.submit(pending))
            except TapError as error:
                if not error.executed:
                    self._ledger.drop(spec.key)
                    raise
                if found := self._search(service, pending):
                    return found
                failure = error
            else:
                self._ledger.note(pending)
                logger.debug("Requested the %s.", spec.title)
                return pending
        # It stays noted: the next run searches once more before it asks.
        raise failure

    def _search(self, service: ExportService, pending: PendingExport) -> PendingExport | None:
        """Search a few times for an export whose answer was lost just now."""
        for _ in range(LOST_ANSWER_SEARCHES):
            self._pause(LOST_ANSWER_PAUSE)
            if found := self._found(service, pending):
                return found
        return None

    # Looked at until it is ready, made again where it failed

    def _wait(self, service: ExportService, pending: PendingExport) -> ExportStatus:
        """Look until the export has come to an end, ever more rarely."""
        begin = self._clock.monotonic()
        longest = self._longest_pause or service.longest_pause
        while True:
            status = service.poll(pending)
            if status.state is not Status.PENDING:
                return status
            self.progress.polled(pending.spec, status)
            waited = self._clock.monotonic() - begin
            if waited > self._timeout:
                msg = (
                    f"The {pending.spec.title} is still '{status.said}' on the server after "
                    f"{waited / 60:.0f} minutes ({status.export_id}). It stays pending: the next "
                    "run takes it up. Setting 'export_timeout_minutes' says how long to wait."
                )
                raise NotFinished(msg)
            self._pause(min(max(FIRST_PAUSE, waited * GROWTH), longest))

    def _make_again(
        self,
        service: ExportService,
        spec: ExportSpec,
        pending: PendingExport,
        status: ExportStatus,
        *,
        first: bool,
    ) -> PendingExport:
        """Have a failed export made again: by the server at first, then by asking anew."""
        title = pending.spec.title
        if status.state is Status.GONE:
            logger.warning(
                "The %s is '%s' (%s): asking for it again.", title, status.said, status.export_id
            )
        else:
            logger.warning(
                "The %s ended as '%s' (%s); trying again.", title, status.said, status.export_id
            )
            if first and service.retry(pending):
                return pending
        with self._submitting[service.name]:
            return self._ask(service, spec)

    # Handed over

    def result(self, spec: ExportSpec) -> FinishedExport:
        """Wait for an export that was started.

        Its window may differ from the one in `spec`, where an earlier run had asked for it.

        Raises:
            NotFinished: It took longer than the timeout, and stays pending.
            ExportError: It failed on the server to the end.
            TapError: The API could not be used.
            Stopped: The run is being ended.
        """
        life = self._futures[spec.key]
        while not life.done():
            if self._stop.is_set():
                raise Stopped
            wait([life], STOP_NOTICED)
        return life.result()

    def ready(self, spec: ExportSpec) -> FinishedExport | None:
        """Return an export that is finished, without waiting for it; else None."""
        life = self._futures.get(spec.key)
        return life.result() if life and life.done() and not life.exception() else None

    def close(self) -> None:
        """End every wait and every thread. Exports on the server go on."""
        self._stop.set()
        wait(self._futures.values(), LAST_REQUESTS)

    def _pause(self, seconds: float) -> None:
        jitter = random.uniform(1.0, 1.1)  # noqa: S311
        if self._clock.wait(seconds * jitter, self._stop):
            raise Stopped


def _ending(pending: PendingExport, status: ExportStatus) -> str:
    title = f"The {pending.spec.title} ({status.export_id})"
    match status.state:
        case Status.CANCELLED:
            return f"{title} was cancelled on the server. Run again to ask for a new one."
        case Status.GONE:
            return (
                f"{title} is '{status.said}': its files are gone. Run again to ask for a new one."
            )
        case _:
            return (
                f"{title} ended as '{status.said}' on the server, also when tried again. Run again "
                "later; if it fails again, give Autodesk's support this ID."
            )
