"""Everything that one run is made of, put together from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tap_autodesk_exports.apis import TITLES, Api
from tap_autodesk_exports.autodesk.context import RunContext
from tap_autodesk_exports.autodesk.http import ApiContext
from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.autodesk.unknown_fields import UnknownFields
from tap_autodesk_exports.exports.download import Downloader
from tap_autodesk_exports.exports.ledger import Ledger
from tap_autodesk_exports.exports.runner import Runner
from tap_autodesk_exports.loading.loader import Loader
from tap_autodesk_exports.loading.prefetch import Prefetcher
from tap_autodesk_exports.loading.schedule import Schedule
from tap_autodesk_exports.redaction import Redaction
from tap_autodesk_exports.signin import SignIn
from tap_autodesk_exports.tables.engine import Engine
from tap_autodesk_exports.workspace import Workspace

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.exports.progress import Progress
    from tap_autodesk_exports.loading.dataset import Load, Selected, Source
    from tap_autodesk_exports.loading.loader import Sink
    from tap_autodesk_exports.loading.report import Stopwatch
    from tap_autodesk_exports.settings import Settings


class StateOutput(Protocol):
    """Where the state of a run is written.

    Attributes:
        lock: Held while anything is written.
        pending: Returns the pending exports as JSON.
    """

    lock: threading.RLock
    pending: Callable[[], list[dict[str, Any]]]

    def publish_pending(self) -> None:
        """Write the state with the pending exports."""


class Run:
    """One run.

    Args:
        settings: The settings.
        output: Where the state is written.
        pending: The exports that the last run left pending, from the state.
        streams: Names of all streams of the catalog.
        stop: Set to end every wait.
        clock: Tells the time and waits.

    Raises:
        ConfigurationError: The credentials are incomplete or contradict one another.
    """

    def __init__(  # noqa: PLR0913
        self,
        settings: Settings,
        output: StateOutput,
        pending: list[dict[str, Any]],
        *,
        streams: Iterable[str],
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._stop = stop
        self.sign_in = SignIn.from_settings(settings, clock)
        self.redaction = Redaction(
            self._secrets,
            hide_addresses=bool(settings.hash_personal_data or settings.hash_columns),
        )
        self._ledger = Ledger(pending, output.lock, output.publish_pending)
        output.pending = self._ledger.entries
        self.workspace = Workspace()
        self.engine = Engine(self.workspace.path)
        self._downloader = Downloader(
            clock,
            stop,
            self.redaction.keep_link,
            api_url=settings.api_url,
            seconds=settings.export_timeout_minutes * 60,
            request_seconds=settings.request_timeout_seconds,
        )
        context = RunContext(
            settings,
            ApiContext(
                settings.api_url,
                self.sign_in,
                clock,
                stop,
                observe=UnknownFields(
                    {TITLES[api]: entry.expected for api, entry in SOURCES.items()}
                ),
                request_seconds=settings.request_timeout_seconds,
            ),
            self._downloader,
            self._ledger,
            self.workspace,
            frozenset(streams),
        )
        self._sources: dict[str, Source] = {
            api: entry.source(context) for api, entry in SOURCES.items()
        }
        services = [source.service for source in self._sources.values()]
        kept = {service.name: service.kept for service in services}
        self._ledger.forget_expired(clock.now(), kept)
        self._runner = Runner(
            {service.name: service for service in services},
            self._ledger,
            clock,
            stop,
            at_once=settings.max_concurrent_exports,
            longest_pause=settings.poll_interval_seconds,
            timeout=settings.export_timeout_minutes * 60,
        )
        self._prefetcher = Prefetcher(self.workspace)
        self._schedule: Schedule | None = None
        self._selected: dict[str, Selected] = {}

    def _secrets(self) -> list[str]:
        return [*self.sign_in.secrets(), *filter(None, [self.settings.hash_key])]

    def source(self, api: str) -> Source:
        """Return what this run uses of an API."""
        return self._sources[api]

    def begin(
        self, selected: Sequence[Selected], stopwatch: Stopwatch, *, fetch_ahead: bool
    ) -> None:
        """Plan all loads and have their exports made, before anything waits.

        Args:
            selected: What is loaded, in order.
            stopwatch: Counts the time that is spent waiting.
            fetch_ahead: Whether the next file is fetched while one is loaded.
        """
        self._selected = {each.name: each for each in selected}
        self._schedule = Schedule(
            selected,
            self._sources,
            self._runner,
            self._ledger,
            self._prefetcher,
            check=lambda api: self.sign_in.check(Api(api)),
            fetch_ahead=fetch_ahead,
            stopwatch=stopwatch,
        )
        self._schedule.begin()

    def loads(self) -> Iterator[tuple[str, Load]]:
        """Yield the name of each dataset with each of its loads."""
        for name in self._selected:
            for load in self._begun.loads_of(name):
                yield name, load

    def result(self, name: str, load: Load) -> FinishedExport:
        """Wait for the export of a load.

        Raises:
            TapError: It failed, or is not finished yet.
        """
        return self._begun.result(name, load)

    def next_of(self, names: Sequence[str]) -> str:
        """Return which of some streams to sync next: one whose exports are ready."""
        return self._begun.next_of(names)

    def loader(self, name: str, sink: Sink) -> Loader:
        """Return what loads a dataset into a sink; the run must have begun."""
        selected = self._selected[name]
        return Loader(
            selected,
            self._sources[selected.dataset.api],
            self._begun,
            sink,
            self.engine,
            start_date=self.settings.start_date,
        )

    @property
    def _begun(self) -> Schedule:
        if self._schedule is None:
            msg = "the run has not begun"
            raise RuntimeError(msg)
        return self._schedule

    @property
    def progress(self) -> Progress:
        """How far its exports are."""
        return self._runner.progress

    @property
    def downloaded(self) -> tuple[int, int]:
        """How many files were downloaded, and how many bytes they have."""
        return self._downloader.files, self._downloader.bytes

    def close(self) -> None:
        """End waits and threads, and remove temporary files."""
        self._stop.set()
        self._prefetcher.close()
        self._runner.close()
        self.engine.close()
        self.workspace.close()
