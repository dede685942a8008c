"""An export service in memory and a clock that waits for nobody, to test the life of an export."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.export import ExportSpec, ExportStatus, PendingExport, Status

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence


class FastClock:
    """A clock on which waiting takes no time; it remembers how long each wait would have been."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.waits.append(seconds)
        self.seconds += seconds
        return stop.is_set()


class LostAnswerError(TapError):
    """The answer to a request was lost: the server may have taken it."""

    executed = True


class MadeUpService:
    """Exports that come to the ends that a test names.

    Args:
        ends: What looks at the n-th export show, one after another; the last one repeats.
        log: Gets every call and every published state, in order.
    """

    name = "made-up"
    attempts = 3
    longest_pause = 30.0
    kept = dt.timedelta(days=30)

    def __init__(self, *ends: Sequence[Status], log: list[str] | None = None) -> None:
        self._ends = [list(end) for end in ends]
        self.log = [] if log is None else log
        self.submitted: list[PendingExport] = []
        self.fail_submit: Callable[[int], None] = lambda _: None
        self.can_retry = False

    def mark(self, pending: PendingExport) -> str:
        return f"before {pending.spec.owner}"

    def submit(self, pending: PendingExport) -> str:
        self.submitted.append(pending)
        export_id = f"export-{len(self.submitted)}"
        self.log.append(f"submit {export_id}")
        self.fail_submit(len(self.submitted))
        return export_id

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        self.log.append("find")
        for number, other in enumerate(self.submitted, start=1):
            if other.asked_at == pending.asked_at and f"export-{number}" not in known:
                return f"export-{number}"
        return None

    def find_existing(self, *_: Any) -> PendingExport | None:
        return None

    def poll(self, pending: PendingExport) -> ExportStatus:
        self.log.append(f"poll {pending.id}")
        if pending.id is None or not pending.id.startswith("export-"):
            return ExportStatus(Status.READY, "ready", str(pending.id))
        ends = self._ends[int(pending.id.removeprefix("export-")) - 1]
        status = ends.pop(0) if len(ends) > 1 else ends[0]
        return ExportStatus(status, status.value, pending.id)

    def retry(self, pending: PendingExport) -> bool:
        self.log.append(f"retry {pending.id}")
        return self.can_retry

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        return pending.body == wanted.body

    def signed_link(self, *_: Any) -> str:
        raise NotImplementedError
