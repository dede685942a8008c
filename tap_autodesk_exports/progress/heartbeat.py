"""One line at a time, as long as a run waits: who reads a log knows that it is alive."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_autodesk_exports import threads

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.progress.facts import Facts

logger = logging.getLogger("tap-autodesk-exports")


class Heartbeat:
    """Writes what is waited for to the log.

    Args:
        facts: Returns the facts.
        seconds: Between two lines.
        clock: Waits.
        stop: Ends it when set.
    """

    def __init__(
        self, facts: Callable[[], Facts], seconds: float, clock: Clock, stop: threading.Event
    ) -> None:
        self._facts = facts
        self._seconds = seconds
        self._clock = clock
        self._stop = stop

    def start(self) -> None:
        """Begin to write, in a thread that does not keep the process alive."""
        threads.run(self.run, name="heartbeat")

    def run(self) -> None:
        """Write a line each time that the seconds have passed, if the run waits then."""
        while not self._clock.wait(self._seconds, self._stop):
            facts = self._facts()
            if facts.is_waiting:
                logger.info("%s", facts.line(), extra=facts.fields())
