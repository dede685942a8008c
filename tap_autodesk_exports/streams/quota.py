"""The jobs that an account needs, and those of them that its daily quota allows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_autodesk_exports.streams.data_connector import TableStream
    from tap_autodesk_exports.streams.parts import Part
    from tap_autodesk_exports.streams.windows import Window


@dataclasses.dataclass(frozen=True)
class Job:
    """A job to be asked for.

    Attributes:
        partition: Context of the bookmarks that it moves.
        part: The projects.
        window: The date range; None where there are only snapshots.
        dated: Tables of activities and changes that it serves.
        snapshots: Tables that it serves besides.
    """

    partition: Mapping[str, str]
    part: Part
    window: Window | None
    dated: tuple[TableStream, ...] = ()
    snapshots: tuple[TableStream, ...] = ()

    @property
    def tables(self) -> tuple[TableStream, ...]:
        """All tables that it serves."""
        return self.dated + self.snapshots

    @property
    def groups(self) -> set[str]:
        """The service groups to ask for."""
        return {table.service_group for table in self.tables}


def afford(jobs: Sequence[Job], free: int, is_pending: Callable[[Job], bool]) -> list[Job]:
    """Spend what is free of a quota on the oldest date ranges.

    Snapshots do not wait for the past: each keeps a job, of its own if its date range has to wait.

    Args:
        jobs: All jobs, in the order in which each part needs them.
        free: How many may be asked for; may be negative.
        is_pending: Tells whether a job was asked for before, and costs nothing.

    Returns:
        The jobs to load now, in the order of `jobs`.
    """
    asked = [at for at, job in enumerate(jobs) if not is_pending(job)]
    if len(asked) <= free:
        return list(jobs)
    kept = sum(bool(jobs[at].snapshots) for at in asked)
    left = free - kept
    waiting: set[int] = set()
    for at in sorted(asked, key=lambda at: _begin(jobs[at])):
        job = jobs[at]
        if job.dated and left <= 0:
            waiting.add(at)
        elif job.dated and not job.snapshots:
            left -= 1
    # A part's ranges are loaded in order: nothing of it goes past one that waits.
    first = {
        jobs[at].part.name: min(o for o in waiting if jobs[o].part == jobs[at].part)
        for at in waiting
    }
    chosen = []
    for at, job in enumerate(jobs):
        if at < first.get(job.part.name, len(jobs)):
            chosen.append(job)
        elif job.snapshots:
            # One that is pending has the snapshots too, and another one would cost a job.
            window = job.window if is_pending(job) else None
            chosen.append(dataclasses.replace(job, window=window, dated=()))
    return chosen


def _begin(job: Job) -> str:
    return job.window.dates["start"] if job.window else ""
