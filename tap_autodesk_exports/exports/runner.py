"""The life of an export, in the order in which things happen.

Resumed from the ledger, or found on the server, or requested (`submission.py`) -> noted in the
state -> polled until it is ready -> made again where it failed -> handed to the stream that waits
for it. What the stream then does with its files begins in `download.py`.

Many exports live side by side, each in its own thread; all that they share is the ledger.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING

from tap_autodesk_exports import threads
from tap_autodesk_exports.clock import canonical, instant, pause
from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.exports.export import (
    JITTER,
    ExportError,
    ExportService,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    Loaded,
    NoFiles,
    NotAvailable,
    NotFinished,
    NotUnderstood,
    PendingExport,
    Status,
)
from tap_autodesk_exports.exports.progress import Progress
from tap_autodesk_exports.exports.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.ledger import Ledger

logger = logging.getLogger("tap-autodesk-exports")

OF_NO_USE = (NoFiles, NotAvailable, NotUnderstood)
"""What is wrong with an export that a new one may mend."""
FIRST_PAUSE = 0.5
GROWTH = 0.05
"""The next poll waits this share of the time waited so far: a finished export is noticed when at
most a twentieth of its own time has passed again. What so many polls may cost in requests is for
the service to say: one list serves the polls of all its exports."""
NAMES_FILES_WITHIN = 30.0
"""Seconds in which an export that is ready must name its files."""
STUCK = dt.timedelta(days=1)
"""An export that an earlier run requested so long ago, and that is still being made, never ends: it
is requested again, unless the settings say to wait for longer. Documented: jobs take minutes."""
NOTHING = Loaded()
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
        longest_pause: Most seconds between two polls; None leaves it to the service.
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
        self._loaded: dict[str, Loaded] = {}
        self._replacing = threading.Lock()
        self._slots = {name: threading.Semaphore(at_once) for name in services}
        self._submissions = {
            name: Submission(service, ledger, clock, stop) for name, service in services.items()
        }
        self.progress = Progress(clock)

    # Begun

    def start(self, spec: ExportSpec, loaded: Loaded = NOTHING) -> None:
        """Begin the life of an export, unless one for the same part is under way already.

        Args:
            spec: What is wanted.
            loaded: What the bookmarks that it moves say was loaded.
        """
        if spec.key not in self._futures:
            self._loaded[spec.key] = loaded
            self._begin(spec, again=False)

    def _begin(self, spec: ExportSpec, *, again: bool) -> None:
        life: Future[FinishedExport] = Future()
        self._futures[spec.key] = life
        self.progress.started(spec)
        try:
            threads.run(self._fulfil, life, spec, again, name=spec.key)
        except TapError as error:
            self.progress.ended(spec)
            life.set_exception(error)

    def _fulfil(self, life: Future[FinishedExport], spec: ExportSpec, again: bool) -> None:  # noqa: FBT001
        try:
            with self._slots[spec.api]:
                if self._stop.is_set():
                    raise Stopped  # noqa: TRY301 - it is the result, like every other error
                life.set_result(self._live(spec, again=again))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            life.set_exception(error)
        finally:
            self.progress.ended(spec)

    def _live(self, spec: ExportSpec, *, again: bool) -> FinishedExport:
        submission, loaded = self._submissions[spec.api], self._loaded[spec.key]
        pending = (submission.again if again else submission.begin)(spec, loaded)
        try:
            try:
                return self._finish(spec, pending)
            except OF_NO_USE as error:
                if self._may_change(error, pending) or submission.is_of_this_run(spec):
                    raise
                logger.warning("%s Requesting it again.", error)
                return self._finish(spec, submission.again(spec, loaded))
        except OF_NO_USE as error:
            if spec.existing and not isinstance(error, NotUnderstood):
                self.give_up(spec)  # the next run chooses another one
            sentence = f"{error} It stays pending: run again."
            raise type(error)(sentence) from None

    def _finish(self, spec: ExportSpec, pending: PendingExport) -> FinishedExport:
        """Wait for an export, and have it made again where it fails."""
        service = self._services[spec.api]
        status = self._wait(service, pending)
        was_gone = False
        for attempt in range(1, service.attempts):
            is_gone = status.state is Status.GONE
            if spec.existing or (is_gone and was_gone):
                break
            if status.state not in {Status.FAILED, Status.GONE}:
                break
            was_gone = was_gone or is_gone
            pending = self._make_again(service, spec, pending, status, first=attempt == 1)
            status = self._wait(service, pending)
        if status.state is Status.READY:
            logger.debug("The %s is ready (%s).", spec.title, status.export_id)
            return FinishedExport(pending, status)
        if spec.existing:
            self.give_up(spec)
        else:
            self._ledger.drop(spec.key)
        raise ExportError(_ending(pending, status))

    # Polled until it is ready, made again where it failed

    def _wait(self, service: ExportService, pending: PendingExport) -> ExportStatus:
        """Poll until the export has come to an end, ever more rarely."""
        begun = self._clock.monotonic()
        longest = self._longest_pause or service.longest_pause
        nameless_since: float | None = None
        while True:
            now = self._clock.monotonic()
            try:
                status = service.poll(pending)
            except NoFiles:
                nameless_since = now if nameless_since is None else nameless_since
                if now - nameless_since > NAMES_FILES_WITHIN:
                    raise
            else:
                self.progress.polled(pending.spec, status)
                if status.state is not Status.PENDING:
                    return status
                self._check_time(pending, status, now - begun)
            self._pause(min(max(FIRST_PAUSE, (now - begun) * GROWTH), longest))

    def _check_time(self, pending: PendingExport, status: ExportStatus, waited: float) -> None:
        """End the wait for an export that takes too long.

        Raises:
            NotAvailable: An earlier run has waited for it as long as can be.
            NotFinished: This run has; the next one resumes it.
        """
        is_new = self._submissions[pending.spec.api].is_of_this_run(pending.spec)
        if self._is_stuck(pending) and not is_new:
            msg = (
                f"The {pending.spec.title} requested at {pending.asked_at} is still "
                f"'{status.said}' on the server ({status.export_id})."
            )
            raise NotAvailable(msg)
        if waited > self._timeout:
            msg = (
                f"The {pending.spec.title} is still '{status.said}' on the server after "
                f"{waited / 60:.0f} minutes ({status.export_id}). It stays pending: the next "
                "run resumes it. Setting 'export_timeout_minutes' says how long to wait."
            )
            raise NotFinished(msg)

    def _is_stuck(self, pending: PendingExport) -> bool:
        """Tell whether an export was requested so long ago that it does not end any more."""
        at = instant(pending.asked_at)
        longest = max(STUCK, dt.timedelta(seconds=self._timeout))
        return at is not None and self._clock.now() - at > longest

    def _may_change(self, error: TapError, pending: PendingExport) -> bool:
        """Tell whether what is wrong with an export is waited for, for a while."""
        return isinstance(error, NotUnderstood) and not self._is_stuck(pending)

    def _make_again(
        self,
        service: ExportService,
        spec: ExportSpec,
        pending: PendingExport,
        status: ExportStatus,
        *,
        first: bool,
    ) -> PendingExport:
        """Have a failed export made again: by the server at first, then by another request."""
        title = pending.spec.title
        if status.state is Status.GONE:
            logger.warning(
                "The %s is '%s' (%s): requesting it again.", title, status.said, status.export_id
            )
        else:
            logger.warning(
                "The %s ended as '%s' (%s); trying again.", title, status.said, status.export_id
            )
            if first and service.retry(pending):
                return pending
        return self._submissions[spec.api].again(spec, self._loaded[spec.key], failed=True)

    # Handed over

    def result(self, spec: ExportSpec) -> FinishedExport:
        """Wait for an export that was started.

        Its window may differ from the one in `spec`, where an earlier run had requested it.

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

    def is_over(self, spec: ExportSpec) -> bool:
        """Tell whether `result` would not wait: an export is ready, or has failed."""
        life = self._futures.get(spec.key)
        return life is None or life.done()

    def wait_for_one(self, specs: Iterable[ExportSpec]) -> bool:
        """Wait a while for one of some exports to be over; return whether the run goes on."""
        wait([self._futures[each.key] for each in specs], STOP_NOTICED, return_when=FIRST_COMPLETED)
        return not self._stop.is_set()

    def another(
        self, spec: ExportSpec, of_no_use: FinishedExport, error: TapError
    ) -> FinishedExport | None:
        """Return an export in place of one of an earlier run whose files are not available.

        None for an export that this run has requested, or where the error may go away.

        Raises:
            TapError: As `result`.
        """
        with self._replacing:
            before, present = self._futures[spec.key], self.ready(spec)
            if present and present.export_id == of_no_use.export_id:
                is_of_this_run = self._submissions[spec.api].is_of_this_run(spec)
                if is_of_this_run or self._may_change(error, of_no_use.pending):
                    return None
                self._begin(spec, again=True)
        try:
            return self.result(spec)
        except TapError:
            self._futures[spec.key] = before  # its other files may be good
            raise

    def give_up(self, spec: ExportSpec) -> None:
        """Have no run use an export again, requested or there before, whose file is of no use."""
        there = PendingExport(spec, canonical(self._clock.now()), id=spec.existing)
        self._ledger.give_up(self._ledger.before(spec.key) or there)

    def close(self) -> None:
        """End every wait and every thread. Exports on the server go on."""
        self._stop.set()
        wait(self._futures.values(), LAST_REQUESTS)

    def _pause(self, seconds: float) -> None:
        pause(self._clock, seconds, self._stop, jitter=JITTER)


def _ending(pending: PendingExport, status: ExportStatus) -> str:
    title = f"The {pending.spec.title} ({status.export_id})"
    match status.state:
        case Status.CANCELLED:
            return f"{title} was cancelled on the server. Run again to request a new one."
        case Status.GONE:
            return (
                f"{title} is '{status.said}': its files are gone. Run again to request a new one."
            )
        case _:
            return (
                f"{title} ended as '{status.said}' on the server, also when tried again. Run again "
                "later; if it fails again, give Autodesk's support this ID."
            )
