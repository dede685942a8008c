"""What the streams of one process share; begins the run when it is first needed."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.exports.export import NotFinished
from tap_autodesk_exports.loading.personal import unmatched
from tap_autodesk_exports.loading.report import Report, StreamOutcome
from tap_autodesk_exports.progress.display import Display
from tap_autodesk_exports.progress.facts import Facts, Running
from tap_autodesk_exports.progress.heartbeat import Heartbeat
from tap_autodesk_exports.redaction import trace
from tap_autodesk_exports.run import Run
from tap_autodesk_exports.sandbox.launch import launch
from tap_autodesk_exports.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.loading.loader import Loader, Sink
    from tap_autodesk_exports.loading.report import StreamReport
    from tap_autodesk_exports.run import StateOutput
    from tap_autodesk_exports.sandbox.server import Sandbox

logger = logging.getLogger("tap-autodesk-exports")


class Session:
    """The settings, the run and the report of one process.

    Args:
        config: The settings as they were given.
        output: Where the state is written.
        clock: Tells the time and waits.

    Attributes:
        clock: Taken by the run when it begins.
        stop: Set when the run must end.
        report: What became of each stream.
        pending: The exports that the last run left pending; set from the state.
        selected: Returns what this run loads; set when the streams are known.
        columns: Returns name of a stream -> its columns; set when the streams are known.
        is_dry_run: Whether only a few records are wanted, so that nothing is fetched ahead.
    """

    def __init__(self, config: Mapping[str, Any], output: StateOutput, clock: Clock) -> None:
        self._config = config
        self.clock = clock
        self.output = output
        self.stop = threading.Event()
        self.report = Report()
        self.pending: list[dict[str, Any]] = []
        self.selected: Callable[[], Sequence[Selected]] = list
        self.columns: Callable[[], Mapping[str, Iterable[str]]] = dict
        self.is_dry_run = False
        self._has_begun = False
        self._display: Display | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings as typed values.

        Raises:
            ConfigurationError: One cannot be read.
        """
        return Settings.from_config(self._config)

    @functools.cached_property
    def run(self) -> Run:
        """What this run is made of; put together when it is first needed.

        Raises:
            ConfigurationError: The credentials are incomplete or contradict one another.
        """
        settings = self.settings
        if settings.sandbox:
            settings = Settings.from_config({**self._config, **self._sandbox.settings()})
            logger.warning("The built-in sandbox answers: none of this is real data.")
        return Run(
            settings,
            self.output,
            self.pending,
            streams=self.columns(),
            stop=self.stop,
            clock=self.clock,
        )

    @functools.cached_property
    def _sandbox(self) -> Sandbox:
        return launch()

    def begin(self) -> Run:
        """Have all exports of the run requested, side by side, before the first stream waits.

        Called by each stream, from the main thread; only the first call does something.
        """
        run = self.run
        if not self._has_begun:
            self._warn_of_unmatched_patterns()
            fetch_ahead = not self.is_dry_run
            run.begin(self.selected(), self.report.stopwatch, fetch_ahead=fetch_ahead)
            self._has_begun = True
        return run

    def next_of(self, names: Sequence[str]) -> str:
        """Return which of some streams to sync next: one that has nothing to wait for."""
        try:
            run = self.begin()
        except Exception:  # noqa: BLE001 - each stream meets it, and reports it
            return names[0]
        return run.next_of(names)

    def loader(self, name: str, sink: Sink) -> Loader:
        """Return what loads a dataset into a sink."""
        return self.begin().loader(name, sink)

    def _warn_of_unmatched_patterns(self) -> None:
        for pattern in unmatched(self.settings, self.columns()):
            logger.warning(
                "The pattern '%s' of 'hash_columns' matches no column of any stream, so it hides "
                "nothing: it is compared with `stream.column`.",
                pattern,
            )

    @contextlib.contextmanager
    def isolated(
        self, stream: str, passing: tuple[type[Exception], ...] = ()
    ) -> Iterator[StreamReport]:
        """Give a stream its report; what fails inside is the failure of this stream alone.

        Args:
            stream: Name of the stream.
            passing: Errors that are none, and are raised.
        """
        with self.report.of(stream) as report:
            try:
                yield report
            except passing:
                raise
            except TapError as error:
                self.fail(stream, error)
            except MemoryError:
                msg = "The system gives this process no more memory; allow it more than it has now."
                self.fail(stream, TapError(msg))
            except Exception as error:  # noqa: BLE001
                if why := getattr(error, "strerror", None):
                    msg = f"The system refused something that the stream needs: {why}."
                else:
                    # Not with the error's own text, which may quote a value of a row.
                    logger.error(  # noqa: TRY400
                        "A defect of this tap, or something that it did not expect\n%s",
                        trace(error),
                    )
                    msg = f"Stopped by {type(error).__name__}; the log has the details."
                self.fail(stream, TapError(msg))

    def check_stopped(self) -> None:
        """Raise Stopped where the run is being ended."""
        if self.stop.is_set():
            raise Stopped

    def fail(self, stream: str, error: TapError) -> None:
        """Report that something of a stream failed or is pending."""
        pending = isinstance(error, (NotFinished, Stopped))
        outcome = StreamOutcome.PENDING if pending else StreamOutcome.FAILED
        self.report.note(stream, outcome, str(error))

    @property
    def has_run(self) -> bool:
        """Whether there is a run to close."""
        return "run" in self.__dict__

    def facts(self) -> Facts:
        """Return what the run is doing right now."""
        run, report = self.run, self.report
        now = run.clock.monotonic()
        files, downloaded = run.downloaded
        over = [each for name, each in report.streams.items() if name != report.current]
        return Facts(
            is_waiting=report.stopwatch.is_waiting,
            exports=run.progress.wanted,
            ready=run.progress.ready,
            running=[
                Running(
                    export.spec.api,
                    export.spec.title,
                    now - export.since,
                    export.said,
                    export.percent,
                )
                for export in run.progress.running()
            ],
            streams=sum(not each.sentences for each in over),
            failed=sum(bool(each.sentences) for each in over),
            rows=sum(each.rows for each in list(report.streams.values())),
            seconds=report.stopwatch.seconds,
            files=files,
            downloaded=downloaded,
            current=report.current,
        )

    def show_progress(self, *, writes_messages: bool = True) -> None:
        """Show what the run is doing: on a terminal as a display, else as lines of the log.

        Args:
            writes_messages: Whether standard output is for messages.
        """
        if Display.fits(writes_messages=writes_messages):
            self._display = Display(self.facts)
            self._display.start()
        elif seconds := self.settings.heartbeat_seconds:
            Heartbeat(self.facts, float(seconds), self.clock, self.stop).start()

    def close(self, write_state: Callable[[], None]) -> int:
        """End the run, write the last state, and report what became of it.

        Args:
            write_state: Writes the last state and closes the output; only called after a run.

        Returns:
            Exit code: 0, or 1 where a stream failed or is pending.
        """
        self.end()
        if self.has_run:
            write_state()
        if "_sandbox" in self.__dict__:
            self._sandbox.stop()
        self.report.log()
        return 0 if self.report.succeeded else 1

    def end(self) -> None:
        """End the run, without a word."""
        self._end_display()
        if self.has_run:
            self.run.close()

    def abandon(self) -> None:
        """Remove the temporary files of a run that does not come to its end."""
        self._end_display()
        if self.has_run:
            self.run.workspace.close()

    def _end_display(self) -> None:
        if self._display:
            self._display.stop()
            self._display = None
