"""The jobs that accounts need, and those of them that the daily quotas allow."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_autodesk_exports.autodesk.data_connector.catalog import TableDataset
    from tap_autodesk_exports.autodesk.data_connector.chunks import ProjectChunk
    from tap_autodesk_exports.loading.windows import Window


@dataclasses.dataclass(frozen=True)
class NeededJob:
    """A job that is needed.

    Attributes:
        partition: Context of the bookmarks that it moves.
        chunk: The projects.
        window: The date range; None where there are only snapshots.
        dated: Tables of activities and changes that it serves.
        snapshots: Other tables that it serves.
    """

    partition: Mapping[str, str]
    chunk: ProjectChunk
    window: Window | None
    dated: tuple[TableDataset, ...] = ()
    snapshots: tuple[TableDataset, ...] = ()

    @property
    def account(self) -> str:
        """ID of its account."""
        return self.partition["account_id"]

    @property
    def tables(self) -> tuple[TableDataset, ...]:
        """All tables that it serves."""
        return self.dated + self.snapshots

    @property
    def groups(self) -> set[str]:
        """The service groups to ask for."""
        return {table.service_group for table in self.tables}


@dataclasses.dataclass(frozen=True)
class Shares:
    """Who may have the jobs that are free.

    Attributes:
        refused: Jobs whose snapshots must wait.
        dated: Account -> how many jobs of dated tables alone it may have.
    """

    refused: Sequence[NeededJob]
    dated: Mapping[str, int]


def share_out(
    jobs: Iterable[NeededJob],
    free: Mapping[str, int],
    free_of_user: int,
    taken: Callable[[NeededJob], dt.datetime],
) -> Shares:
    """Share the free jobs out, so that no account starves.

    Snapshots come first, those whose last extract is oldest before all others. What is left goes to
    date ranges: the oldest of each account, then the next of each.

    Args:
        jobs: The jobs that must be requested.
        free: Account -> how many it may have; may be negative.
        free_of_user: How many all accounts may have together; may be negative.
        taken: When the last extract was taken that serves for a job's snapshots.
    """
    left = dict(free)
    dated: collections.Counter[str] = collections.Counter()

    def takes(account: str) -> bool:
        nonlocal free_of_user
        if min(left[account], free_of_user) <= 0:
            return False
        left[account] -= 1
        free_of_user -= 1
        return True

    jobs = list(jobs)
    snapshots = sorted((job for job in jobs if job.snapshots), key=taken)
    refused = [job for job in snapshots if not takes(job.account)]
    for account in _in_turn(job for job in jobs if not job.snapshots):
        dated[account] += takes(account)
    return Shares(refused, dated)


def _in_turn(jobs: Iterable[NeededJob]) -> list[str]:
    """Return an account for each job: first those of the oldest jobs of all accounts."""
    turns: collections.Counter[str] = collections.Counter()
    found = []
    for job in sorted(jobs, key=_start):
        found.append((turns[job.account], _start(job), job.account))
        turns[job.account] += 1
    return [account for *_, account in sorted(found)]


def afford(
    jobs: Sequence[NeededJob], free: int, is_pending: Callable[[NeededJob], bool]
) -> list[NeededJob]:
    """Spend what is free of a quota on the oldest date ranges.

    Snapshots do not wait for the past: each keeps a job, a separate one if its date range must
    wait.

    Args:
        jobs: All jobs, in the order in which each chunk needs them.
        free: How many may be requested; may be negative.
        is_pending: Tells whether a job was requested before, and costs nothing.

    Returns:
        The jobs to load now, in the order of `jobs`.
    """
    asked = [at for at, job in enumerate(jobs) if not is_pending(job)]
    if len(asked) <= free:
        return list(jobs)
    kept = sum(bool(jobs[at].snapshots) for at in asked)
    left = free - kept
    waiting: set[int] = set()
    for at in sorted(asked, key=lambda at: _start(jobs[at])):
        job = jobs[at]
        if job.dated and left <= 0:
            waiting.add(at)
        elif job.dated and not job.snapshots:
            left -= 1
    # A chunk's ranges are loaded in order: nothing of it goes past one that waits.
    first = {
        jobs[at].chunk.name: min(o for o in waiting if jobs[o].chunk == jobs[at].chunk)
        for at in waiting
    }
    chosen = []
    for at, job in enumerate(jobs):
        if at < first.get(job.chunk.name, len(jobs)):
            chosen.append(job)
        elif job.snapshots:
            # One that is pending has the snapshots too, and another one would cost a job.
            window = job.window if is_pending(job) else None
            chosen.append(dataclasses.replace(job, window=window, dated=()))
    return chosen


def _start(job: NeededJob) -> str:
    return job.window.dates["start"] if job.window else ""
