"""SIGTERM and SIGINT: the first ends the run at the next safe place, the second at once.

A thread waits for them. A handler would run in the middle of whatever it interrupts, which may hold
the very locks that it needs: of the log, of standard output, of the event that ends the run.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("tap-autodesk-exports")

SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
GRACE = 8.0
"""Seconds that the run gets for its end: container platforms kill after ten."""


class Signals:
    """Waits for the signals that end a run.

    Args:
        stop: Set by the first signal.
        output: Held when the process is left because the run did not end in time, so that no line
            is cut.
        leave: Called before the process is left without the run's own end.

    Attributes:
        received: Number of the first signal; None while none has come.
    """

    def __init__(
        self, stop: threading.Event, output: threading.RLock, leave: Callable[[], None]
    ) -> None:
        self.received: int | None = None
        self._stop = stop
        self._output = output
        self._leave = leave

    def begin(self) -> None:
        """Begin to wait; from now on the signals have no other effect in this process."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._wait, name="signals", daemon=True).start()

    def _wait(self) -> None:
        self.received = signal.sigwait(SIGNALS)
        name = signal.Signals(self.received).name
        self._stop.set()
        logger.warning("%s: ending the run. A second signal ends it at once.", name)
        if signal.sigtimedwait(SIGNALS, GRACE) is None:
            logger.warning("The run did not end in %.0f s: leaving it.", GRACE)
            self._output.acquire()
        self._leave()
        sys.stderr.flush()
        os._exit(128 + self.received)
