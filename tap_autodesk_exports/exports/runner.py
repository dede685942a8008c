"""The life of an export, in the order in which things happen.

taken up from the ledger, or found on the server, or asked for -> noted in the state -> looked at
until it is ready -> made again where it failed -> handed to the stream that waits for it.

Many exports live side by side, each in a thread of its own; all that they share is the ledger.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
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
GROWTH = 0.25
"""The next look waits this share of the time waited so far: a finished export is noticed at the
latest when a quarter of its own time has passed again."""
LOST_ANSWER_SEARCHES = 3
LOST_ANSWER_PAUSE = 2.0


class Runner:
    """Looks after all exports of a run.

    Args:
        services: Name of an API -> its exports.
        ledger: Where pending exports are noted.
        clock: Tells the time and waits.
        stop: Ends every wait when set; pending exports stay in the ledger.
        at_once: How many exports may be under way at the same time.
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
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="export")
        self._lives: dict[str, Future[Finished]] = {}
        self._asking = {name: threading.Lock() for name in services}

    def start(self, spec: ExportSpec) -> None:
        """Begin the life of an export, unless one for the same part is under way already."""
        if spec.key not in self._lives:
            self._lives[spec.key] = self._threads.submit(self._live, spec)

    def result(self, spec: ExportSpec) -> Finished:
        """Wait for an export that was started.

        Its window may differ from the one in `spec`, where an earlier run had asked for it.

        Raises:
            NotFinished: It took longer than the timeout, and stays pending.
            ExportError: It failed on the server to the end.
            TapError: The API could not be used.
            Stopped: The run is being ended.
        """
        return self._lives[spec.key].result()

    def close(self) -> None:
        """End every wait and every thread. Exports on the server go on."""
        self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _live(self, spec: ExportSpec) -> Finished:
        service = self._services[spec.api]
        if spec.existing:
            asked = Asked(spec, canonical(self._clock.now()), id=spec.existing)
        else:
            asked = self._take_up(service, spec) or self._ask(service, spec)
        look = self._wait(service, asked)
        for _ in range(1, service.attempts):
            if look.status not in {Status.FAILED, Status.GONE} or spec.existing:
                break
            asked = self._make_again(service, asked, look)
            look = self._wait(service, asked)
        if look.status is Status.READY:
            logger.info("The %s is ready (%s).", spec.title, look.export_id)
            return Finished(asked, look)
        self._ledger.drop(spec.key)
        raise ExportError(_ending(asked, look))

    def _take_up(self, service: ExportService, spec: ExportSpec) -> Asked | None:
        """Return the export that an earlier run asked for, if it serves."""
        asked = self._ledger.pending(spec.key)
        if asked is None:
            return None
        if not service.covers(asked.spec, spec):
            logger.warning(
                "The pending %s was asked for with other settings and is left aside.", spec.title
            )
            return None
        if asked.id is None:
            return self._found(service, asked)
        logger.info("Taking up the %s asked for at %s.", spec.title, asked.asked_at)
        return asked

    def _found(self, service: ExportService, asked: Asked) -> Asked | None:
        """Search the server for an export whose answer was lost."""
        export_id = service.find(asked, self._ledger.known_ids())
        if export_id is None:
            logger.info("The server does not know the %s yet.", asked.spec.title)
            return None
        logger.info("Found the %s on the server (%s).", asked.spec.title, export_id)
        asked = dataclasses.replace(asked, id=export_id)
        self._ledger.note(asked)
        return asked

    def _ask(self, service: ExportService, spec: ExportSpec) -> Asked:
        """Ask for an export; it is in the state before and after.

        One at a time for each API: two that look alike could otherwise not be told apart when
        the answers to both are lost.
        """
        with self._asking[service.name]:
            for _ in range(service.attempts):
                asked = Asked(spec, canonical(self._clock.now()), mark=service.before(spec))
                self._ledger.note(asked)
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
        self._ledger.drop(spec.key)
        raise failure

    def _search(self, service: ExportService, asked: Asked) -> Asked | None:
        """Search a few times for an export whose answer was lost just now."""
        for _ in range(LOST_ANSWER_SEARCHES):
            self._pause(LOST_ANSWER_PAUSE)
            if found := self._found(service, asked):
                return found
        return None

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

    def _make_again(self, service: ExportService, asked: Asked, look: Look) -> Asked:
        """Have a failed export made again: by the server, or by asking anew."""
        logger.warning(
            "The %s ended as '%s' (%s); trying again.", asked.spec.title, look.said, look.export_id
        )
        if look.status is Status.FAILED and service.retry(asked):
            return asked
        return self._ask(service, asked.spec)

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
