"""How far the exports of a run are, for whoever wants to show it."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import ExportSpec, ExportStatus


@dataclasses.dataclass(frozen=True)
class RunningExport:
    """An export that the server is making.

    Attributes:
        spec: The export.
        since: When this run first polled it, by the monotonic clock.
        said: The server's own word for its state.
        percent: How much of it is done, where the server says so.
    """

    spec: ExportSpec
    since: float
    said: str
    percent: int | None = None


class Progress:
    """The exports of a run; thread-safe.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all: set[str] = set()
        self._over: set[str] = set()
        self._running: dict[str, RunningExport] = {}

    def started(self, spec: ExportSpec) -> None:
        """Note that an export is wanted."""
        with self._lock:
            self._all.add(spec.key)

    def polled(self, spec: ExportSpec, status: ExportStatus) -> None:
        """Note what polling showed."""
        with self._lock:
            before = self._running.get(spec.key)
            since = before.since if before else self._clock.monotonic()
            self._running[spec.key] = RunningExport(spec, since, status.said, status.percent)

    def ended(self, spec: ExportSpec) -> None:
        """Note that an export is ready, or failed."""
        with self._lock:
            self._running.pop(spec.key, None)
            self._over.add(spec.key)

    @property
    def wanted(self) -> int:
        """How many exports this run needs."""
        return len(self._all)

    @property
    def ready(self) -> int:
        """How many of them are ready, or failed."""
        return len(self._over)

    def running(self) -> list[RunningExport]:
        """Return those that the server is making, longest first."""
        with self._lock:
            return sorted(self._running.values(), key=lambda export: export.since)
