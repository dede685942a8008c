"""The course of an export on the server: from the POST to its end, by the sandbox's clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
from enum import Enum


class Phase(Enum):
    """How far an export is. ABSENT: accepted, but not listed yet (Data Connector only)."""

    ABSENT = 0
    QUEUED = 1
    RUNNING = 2
    ENDED = 3


class Ending(Enum):
    """How an export ends, or why it does not."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    STUCK = "stuck"
    NO_JOB = "no_job"
    UNKNOWN_STATUS = "unknown_status"


@dataclasses.dataclass
class Course:
    """When an export began, how long it takes, and how it will end."""

    created: dt.datetime
    seconds: float
    ending: Ending = Ending.SUCCESS
    cancelled: dt.datetime | None = None

    @property
    def listed(self) -> dt.datetime:
        """When the job appears: some time after the request."""
        return self.created + dt.timedelta(seconds=self.seconds * 0.2)

    @property
    def started(self) -> dt.datetime:
        """When it begins to run."""
        return self.created + dt.timedelta(seconds=self.seconds * 0.4)

    @property
    def ended(self) -> dt.datetime:
        """When it ends; the data are those of this instant."""
        return self.cancelled or self.created + dt.timedelta(seconds=self.seconds)

    def phase(self, now: dt.datetime) -> Phase:
        """Return how far the export is."""
        if self.ending is Ending.NO_JOB or now < self.listed:
            return Phase.ABSENT
        if self.cancelled is not None:
            return Phase.ENDED
        if self.ending is Ending.STUCK or now < self.started:
            return Phase.QUEUED
        return Phase.RUNNING if now < self.ended else Phase.ENDED

    def cancel(self, now: dt.datetime) -> None:
        """End an export that has not ended."""
        if self.phase(now) is not Phase.ENDED:
            self.cancelled = now
            self.ending = Ending.CANCELLED

    def succeeded(self, now: dt.datetime) -> bool:
        """Return whether the export has ended well."""
        return self.phase(now) is Phase.ENDED and self.ending is Ending.SUCCESS
