"""What became of each stream: logged once, at the end of a run."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import defaultdict
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("tap-autodesk-exports")

NAMED_STREAMS = 5
"""More streams with one and the same failure are counted, not named."""


class StreamOutcome(StrEnum):
    """How a stream ended, in order of gravity."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    PENDING = "pending"
    FAILED = "failed"


_LEVELS = {StreamOutcome.PENDING: logging.WARNING, StreamOutcome.FAILED: logging.ERROR}


@dataclasses.dataclass
class StreamReport:
    """One stream of this run.

    Attributes:
        rows: Records that were written.
        is_changed: Whether there was anything new, so that it was read and sent.
        seconds: Time from its start to its end, including waits.
        sentences: What failed or is pending, each with its outcome.
    """

    rows: int = 0
    is_changed: bool = False
    seconds: float = 0.0
    sentences: list[tuple[StreamOutcome, str]] = dataclasses.field(default_factory=list)

    @property
    def outcome(self) -> StreamOutcome:
        """The gravest of its outcomes."""
        gravity = list(StreamOutcome)
        well = StreamOutcome.LOADED if self.is_changed else StreamOutcome.UNCHANGED
        return max((outcome for outcome, _ in self.sentences), key=gravity.index, default=well)


class Stopwatch:
    """Where the time of a run goes.

    Attributes:
        waiting: Seconds in which a stream waited for an export or its file.
        writing: Seconds in which messages were written, the target's own time included.
        is_waiting: Whether a stream waits right now.
    """

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.waiting = 0.0
        self.writing = 0.0
        self.is_waiting = False

    @contextmanager
    def wait(self) -> Iterator[None]:
        """Count the time inside as waiting."""
        start = time.monotonic()
        self.is_waiting = True
        try:
            yield
        finally:
            self.is_waiting = False
            self.waiting += time.monotonic() - start

    @contextmanager
    def write(self) -> Iterator[None]:
        """Count the time inside as writing."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.writing += time.monotonic() - start

    @property
    def seconds(self) -> float:
        """Time since its start."""
        return time.monotonic() - self._start

    def __str__(self) -> str:
        """Return `118 s (reading 9, waiting 97, writing 12)`; all that is neither is reading."""
        seconds = time.monotonic() - self._start
        reading = max(seconds - self.waiting - self.writing, 0.0)
        return (
            f"{seconds:.0f} s (reading {reading:.0f}, waiting {self.waiting:.0f}, writing "
            f"{self.writing:.0f})"
        )


class Report:
    """All streams of this run."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamReport] = {}
        self.stopwatch = Stopwatch()
        self.current = ""

    @contextmanager
    def of(self, stream: str) -> Iterator[StreamReport]:
        """Time a stream and give its report."""
        report = self.streams.setdefault(stream, StreamReport())
        self.current = stream
        start = time.monotonic()
        try:
            yield report
        finally:
            report.seconds += time.monotonic() - start

    def note(self, stream: str, outcome: StreamOutcome, sentence: str) -> None:
        """Note what failed or is pending, and log it the first time."""
        entry = (outcome, sentence)
        if entry not in self._by_sentence():
            logger.log(_LEVELS[outcome], "%s: %s", stream, sentence)
        self.streams[stream].sentences.append(entry)

    @property
    def succeeded(self) -> bool:
        """Whether every stream was loaded to its end."""
        return all(not report.sentences for report in self.streams.values())

    def log(self) -> None:
        """Write one line for the run, and one for each thing that is pending or failed."""
        by_outcome = defaultdict(list)
        for name, report in self.streams.items():
            by_outcome[report.outcome].append(name)
        rows = sum(report.rows for report in self.streams.values())
        counts = ", ".join(f"{len(by_outcome[outcome])} {outcome}" for outcome in StreamOutcome)
        logger.info("%s, %s, %d rows.", counts, self.stopwatch, rows)
        for (outcome, sentence), names in self._by_sentence().items():
            logger.log(_LEVELS[outcome], "%s %s: %s", outcome.upper(), _named(names), sentence)

    def _by_sentence(self) -> dict[tuple[StreamOutcome, str], list[str]]:
        found: dict[tuple[StreamOutcome, str], list[str]] = defaultdict(list)
        for name, report in self.streams.items():
            for entry in dict.fromkeys(report.sentences):
                found[entry].append(name)
        return found


def _named(names: list[str]) -> str:
    named = ", ".join(names[:NAMED_STREAMS])
    more = len(names) - NAMED_STREAMS
    return f"{named} and {more} more" if more > 0 else named
