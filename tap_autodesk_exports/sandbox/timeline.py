"""The timeline of an export on the server: from the POST to its end, by the sandbox's clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
from enum import Enum


class Phase(Enum):
    """How far an export has got. ABSENT: accepted, but not listed yet (Data Connector only)."""

    ABSENT = 0
    QUEUED = 1
    RUNNING = 2
    ENDED = 3


class Outcome(Enum):
    """How an export ends, or why it does not."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    STUCK = "stuck"
    NO_JOB = "no_job"
    UNKNOWN_STATUS = "unknown_status"


class Files(Enum):
    """What an export has to show once it has ended successfully."""

    THERE = 0
    NONE = 1
    """An empty list."""
    NULL = 2
    """Null in place of a list."""
    GONE = 3
    """They were deleted."""


@dataclasses.dataclass(frozen=True)
class Flaws:
    """What is wrong with an export from its first day to its last.

    Attributes:
        id_status: What every request for its ID answers; 0: the export.
        link_status: What the storage answers to every one of its links; 0: the file.
        files: What it has to show when it has ended.
        words: What its files say in place of rows; empty: they have rows.
    """

    id_status: int = 0
    link_status: int = 0
    files: Files = Files.THERE
    words: str = ""


@dataclasses.dataclass
class Timeline:
    """When an export was created, how long it takes, how it will end and what is wrong with it."""

    created: dt.datetime
    seconds: float
    outcome: Outcome = Outcome.SUCCESS
    flaws: Flaws = dataclasses.field(default_factory=Flaws)
    cancelled: dt.datetime | None = None

    @property
    def listed(self) -> dt.datetime:
        """When the job appears: some time after the request."""
        return self.created + dt.timedelta(seconds=self.seconds * 0.2)

    @property
    def started(self) -> dt.datetime:
        """When it starts to run."""
        return self.created + dt.timedelta(seconds=self.seconds * 0.4)

    @property
    def ended(self) -> dt.datetime:
        """When it ends; the data are those of this moment."""
        return self.cancelled or self.created + dt.timedelta(seconds=self.seconds)

    def phase(self, now: dt.datetime) -> Phase:
        """Return how far the export has got."""
        if self.outcome is Outcome.NO_JOB or now < self.listed:
            return Phase.ABSENT
        if self.cancelled is not None:
            return Phase.ENDED
        if self.outcome is Outcome.STUCK or now < self.started:
            return Phase.QUEUED
        return Phase.RUNNING if now < self.ended else Phase.ENDED

    def cancel(self, now: dt.datetime) -> None:
        """End an export that has not ended."""
        if self.phase(now) is not Phase.ENDED:
            self.cancelled = now
            self.outcome = Outcome.CANCELLED

    def succeeded(self, now: dt.datetime) -> bool:
        """Return whether the export has ended successfully."""
        return self.phase(now) is Phase.ENDED and self.outcome is Outcome.SUCCESS
