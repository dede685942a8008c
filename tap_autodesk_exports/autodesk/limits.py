"""Limits on requests: as many as an API allows, and none to a host that does not answer."""

from __future__ import annotations

import collections
import threading
from typing import TYPE_CHECKING

from tap_autodesk_exports.clock import pause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_autodesk_exports.clock import Clock

GIVEN_UP = 120.0
"""Seconds in which a host that could not be reached, in as many tries as there are, is not tried
again: the other streams of a run would each wait as long for the same."""


class RateLimiter:
    """A limit on requests that all threads of the process share.

    Args:
        limits: Pairs of a number of requests and the seconds in which no more may be sent.
        clock: Tells the time and waits.
    """

    def __init__(self, limits: Sequence[tuple[int, float]], clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._sent: collections.deque[float] = collections.deque()
        self._lock = threading.Lock()

    def take(self, stop: threading.Event) -> None:
        """Wait until one more request may be sent, and count it.

        Raises:
            Stopped: The run ended meanwhile.
        """
        while seconds := self._pause():
            pause(self._clock, seconds, stop)

    def _pause(self) -> float:
        with self._lock:
            now = self._clock.monotonic()
            longest = max((seconds for _, seconds in self._limits), default=0.0)
            while self._sent and self._sent[0] <= now - longest:
                self._sent.popleft()
            pause = max((self._until_free(*limit, now) for limit in self._limits), default=0.0)
            if pause <= 0:
                self._sent.append(now)
            return max(pause, 0.0)

    def _until_free(self, number: int, seconds: float, now: float) -> float:
        if len(self._sent) < number:
            return 0.0
        return self._sent[-number] + seconds - now


class CircuitBreaker:
    """Whether the one host of all APIs can be reached, as far as this process knows.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answered = self._lost = float("-inf")
        self._how = ""

    def answered(self) -> None:
        """Note that an answer came."""
        self._answered = self._clock.monotonic()

    def lose(self, begun: float, how: str) -> None:
        """Note that no try of a request got through, unless another request was answered.

        Args:
            begun: When it was tried first, by the clock.
            how: How the last try failed.
        """
        if self._answered < begun:
            self._lost, self._how = self._clock.monotonic(), how

    def lost(self) -> str | None:
        """Return how the last try failed, while it is of no use to try again."""
        return self._how if self._clock.monotonic() - self._lost < GIVEN_UP else None
