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
    Asked,
    ExportError,
    ExportService,
    ExportSpec,
    Finished,
    Look,
    NotFinished,
    Status,
)

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
        self._lives: dict[str, Future[Finished]] = {}
        self._places = {name: threading.Semaphore(at_once) for name in services}
        self._asking = {name: threading.Lock() for name in services}
        self._searched: set[str] = set()

    # Begun

    def start(self, spec: ExportSpec) -> None:
        """Begin the life of an export, unless one for the same part is under way already."""
        if spec.key not in self._lives:
            self._lives[spec.key] = Future()
            # A daemon, so that a server that has fallen silent does not keep the process alive.
            threading.Thread(target=self._fulfil, args=(spec,), name=spec.key, daemon=True).start()

    def _fulfil(self, spec: ExportSpec) -> None:
        life = self._lives[spec.key]
        try:
            with self._places[spec.api]:
                if self._stop.is_set():
                    raise Stopped  # noqa: TRY301 - it is the result, like every other error
                life.set_result(self._live(spec))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            life.set_exception(error)

    def _live(self, spec: ExportSpec) -> Finished:
        service = self._services[spec.api]
        asked = self._begin(service, spec)
        look = self._wait(service, asked)
        for attempt in range(1, service.attempts):
            if look.status not in {Status.FAILED, Status.GONE} or spec.existing:
                break
            asked = self._make_again(service, spec, asked, look, first=attempt == 1)
            look = self._wait(service, asked)
        if look.status is Status.READY:
            logger.info("The %s is ready (%s).", spec.title, look.export_id)
            return Finished(asked, look)
        self._ledger.drop(spec.key)
        raise ExportError(_ending(asked, look))

    # Taken up, or found on the server, or asked for

    def _begin(self, service: ExportService, spec: ExportSpec) -> Asked:
        """Return the export: a certain one, one that is pending, or a new one.

        One at a time for each API: two that look alike could otherwise not be told apart when
        the answers to both are lost.
        """
        if spec.existing:
            return Asked(spec, canonical(self._clock.now()), id=spec.existing)
        if asked := self._pending(service, spec):
            return asked
        with self._asking[service.name]:
            self._search_unanswered(service, spec)
            return (
                self._pending(service, spec)
                or self._under_way(service, spec)
                or self._ask(service, spec)
            )

    def _pending(self, service: ExportService, spec: ExportSpec) -> Asked | None:
        """Return the export that an earlier run asked for, if it serves."""
        asked = self._ledger.pending(spec.key)
        if asked is None or asked.id is None:
            return None
        # Where it begins later, rows would be missed; where it ends earlier, they come next.
        begins_in_time = not (spec.start and asked.spec.start) or asked.spec.start <= spec.start
        if not begins_in_time or not service.covers(asked.spec, spec):
            logger.warning(
                "The pending %s (%s) was asked for with other settings and is left aside.",
                spec.title,
                asked.id,
            )
            self._ledger.drop(spec.key)
            return None
        logger.info("Taking up the %s asked for at %s.", spec.title, asked.asked_at)
        return asked

    def _search_unanswered(self, service: ExportService, spec: ExportSpec) -> None:
        """Search once for each export whose answer an earlier run did not live to see.

        All of the API's, before anything new is asked for: what is new may look like them.
        """
        for asked in self._ledger.unanswered(service.name):
            key = asked.spec.key
            if key in self._searched:
                continue
            try:
                self._found(service, asked)
            except TapError as error:
                if key == spec.key:
                    raise
                logger.info("The %s cannot be searched for: %s", asked.spec.title, error)
            else:
                self._searched.add(key)

    def _found(self, service: ExportService, asked: Asked) -> Asked | None:
        """Search the server for an export whose answer was lost."""
        export_id = service.find(asked, self._ledger.known_ids())
        if export_id is None:
            logger.info("The server does not know the %s.", asked.spec.title)
            return None
        logger.info("Found the %s on the server (%s).", asked.spec.title, export_id)
        asked = dataclasses.replace(asked, id=export_id)
        self._ledger.note(asked)
        return asked

    def _under_way(self, service: ExportService, spec: ExportSpec) -> Asked | None:
        """Return an export that the server is making and the state does not know."""
        asked = service.under_way(spec, self._ledger.known_ids())
        if asked is None:
            return None
        logger.warning(
            "The server is making the %s already (%s), which the state does not know: taking it "
            "up. Was the state of the last run lost?",
            spec.title,
            asked.id,
        )
        self._ledger.note(asked)
        return asked

    def _ask(self, service: ExportService, spec: ExportSpec) -> Asked:
        """Ask for an export; it is in the state before and after."""
        for _ in range(service.attempts):
            asked = Asked(spec, canonical(self._clock.now()), mark=service.before(spec))
            self._ledger.note(asked)
            self._searched.add(spec.key)
            try:
                asked = dataclasses.replace(asked, id=service.submit(asked))
            except TapError as error:
                if not error.executed:
                    self._ledger.drop(spec.key)
                    raise
                if found := self._search(service, asked):
                    return found
                failure = error
            else:
                self._ledger.note(asked)
                logger.info("Asked for the %s.", spec.title)
                return asked
        # It stays noted: the next run searches once more before it asks.
        raise failure

    def _search(self, service: ExportService, asked: Asked) -> Asked | None:
        """Search a few times for an export whose answer was lost just now."""
        for _ in range(LOST_ANSWER_SEARCHES):
            self._pause(LOST_ANSWER_PAUSE)
            if found := self._found(service, asked):
                return found
        return None

    # Looked at until it is ready, made again where it failed

    def _wait(self, service: ExportService, asked: Asked) -> Look:
        """Look until the export has come to an end, ever more rarely."""
        begin = self._clock.monotonic()
        longest = self._longest_pause or service.longest_pause
        while True:
            look = service.look(asked)
            if look.status is not Status.PENDING:
                return look
            waited = self._clock.monotonic() - begin
            if waited > self._timeout:
                msg = (
                    f"The {asked.spec.title} is still '{look.said}' on the server after "
                    f"{waited / 60:.0f} minutes ({look.export_id}). It stays pending: the next "
                    "run takes it up. Setting 'export_timeout_minutes' says how long to wait."
                )
                raise NotFinished(msg)
            self._pause(min(max(FIRST_PAUSE, waited * GROWTH), longest))

    def _make_again(
        self, service: ExportService, spec: ExportSpec, asked: Asked, look: Look, *, first: bool
    ) -> Asked:
        """Have a failed export made again: by the server at first, then by asking anew."""
        title = asked.spec.title
        if look.status is Status.GONE:
            logger.warning(
                "The %s is '%s' (%s): asking for it again.", title, look.said, look.export_id
            )
        else:
            logger.warning(
                "The %s ended as '%s' (%s); trying again.", title, look.said, look.export_id
            )
            if first and service.retry(asked):
                return asked
        with self._asking[service.name]:
            return self._ask(service, spec)

    # Handed over

    def result(self, spec: ExportSpec) -> Finished:
        """Wait for an export that was started.

        Its window may differ from the one in `spec`, where an earlier run had asked for it.

        Raises:
            NotFinished: It took longer than the timeout, and stays pending.
            ExportError: It failed on the server to the end.
            TapError: The API could not be used.
            Stopped: The run is being ended.
        """
        life = self._lives[spec.key]
        while not life.done():
            if self._stop.is_set():
                raise Stopped
            wait([life], STOP_NOTICED)
        return life.result()

    def ready(self, spec: ExportSpec) -> Finished | None:
        """Return an export that is finished, without waiting for it; else None."""
        life = self._lives.get(spec.key)
        return life.result() if life and life.done() and not life.exception() else None

    def close(self) -> None:
        """End every wait and every thread. Exports on the server go on."""
        self._stop.set()
        wait(self._lives.values(), LAST_REQUESTS)

    def _pause(self, seconds: float) -> None:
        jitter = random.uniform(1.0, 1.1)  # noqa: S311
        if self._clock.wait(seconds * jitter, self._stop):
            raise Stopped


def _ending(asked: Asked, look: Look) -> str:
    title = f"The {asked.spec.title} ({look.export_id})"
    match look.status:
        case Status.CANCELLED:
            return f"{title} was cancelled on the server. Run again to ask for a new one."
        case Status.GONE:
            return f"{title} is '{look.said}': its files are gone. Run again to ask for a new one."
        case _:
            return (
                f"{title} ended as '{look.said}' on the server, also when tried again. Run again "
                "later; if it fails again, give Autodesk's support this ID."
            )
