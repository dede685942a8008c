"""SIGTERM and SIGINT: the first ends the run at the next safe place, the second at once.

A thread waits for them. A handler would run in the middle of whatever it interrupts, which may hold
the very locks that it needs: of the log, of standard output, of the event that ends the run.

Neither ends the process while a task is under way that must not be lost (see `uninterrupted`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Protocol

from tap_autodesk_exports import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

logger = logging.getLogger("tap-autodesk-exports")

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""SIGHUP: the terminal was closed. SIGBREAK: Ctrl-Break on Windows."""
GRACE = 8.0
"""Seconds that the run gets for its end: container platforms kill after ten."""
BRIEFLY = 0.5
"""Seconds of each step after that which may wait for somebody else."""
PATIENCE = 60.0
"""Seconds that a task which must not be lost gets for its end."""
_NUDGE = 0.1
"""Seconds between two interruptions of a thread that has not heard of a signal yet."""


came = threading.Event()
"""Set once a signal has come: what could be tried again need not be."""


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
        self._arrivals: _Arrivals = _Blocked() if hasattr(signal, "sigtimedwait") else _Woken()

    def begin(self) -> None:
        """Begin to wait; from now on the signals have no other effect in this process.

        Raises:
            NoThread: The system starts none.
        """
        self._arrivals.begin(_ending())
        _waited_for.set()
        threads.run(self._wait, name="signals")

    def _wait(self) -> None:
        self.received = self._arrivals.next(None)
        if self.received is None:
            return
        came.set()
        until = time.monotonic() + GRACE
        name = signal.Signals(self.received).name
        _briefly(logger.warning, "%s: ending the run. A second signal ends it at once.", name)
        self._stop.set()
        if self._arrivals.next(max(0.0, until - time.monotonic())) is None:
            _briefly(logger.warning, "The run did not end in %.0f s: leaving it.", GRACE)
            # For a target that reads slowly; one that does not read gets a line that is cut.
            self._output.acquire(timeout=BRIEFLY)
        _tasks.wait(PATIENCE)
        _briefly(self._leave)
        os._exit(128 + self.received)


def _briefly(call: Callable[..., object], *args: object) -> None:
    """Call what may wait for others, such as for who reads the log, and wait for it briefly."""
    thread = threading.Thread(target=call, args=args)
    with contextlib.suppress(threads.NoThread):
        threads.start(thread)
        thread.join(BRIEFLY)


class _Arrivals(Protocol):
    """The signals as they come."""

    def begin(self, numbers: set[signal.Signals]) -> None:
        """Take these from now on; called in the main thread."""
        ...

    def next(self, timeout: float | None) -> int | None:
        """Return the next one, or None after `timeout` seconds."""
        ...


class _Blocked:
    """Signals that every thread blocks, and one thread waits for: Linux and other Unixes."""

    def begin(self, numbers: set[signal.Signals]) -> None:
        self._numbers = numbers
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def next(self, timeout: float | None) -> int | None:
        if timeout is None:
            return signal.sigwait(self._numbers)
        found = signal.sigtimedwait(self._numbers, timeout)
        return None if found is None else found.si_signo


class _Woken:
    """Signals that Python writes into a socket as they come: Windows and macOS."""

    def begin(self, numbers: set[signal.Signals]) -> None:
        self._numbers = numbers
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)  # noqa: FBT003
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            # Without a handler of ours the system's own would end the process.
            signal.signal(number, lambda *_: None)

    def next(self, timeout: float | None) -> int | None:
        self._reader.settimeout(timeout)
        with contextlib.suppress(TimeoutError):
            while received := self._reader.recv(1):
                if received[0] in self._numbers:
                    return received[0]
        return None


class _Tasks:
    """The tasks under way that must not be lost."""

    def __init__(self) -> None:
        self._running = 0
        self._changed = threading.Condition()

    def begin(self) -> None:
        with self._changed:
            self._running += 1

    def end(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until none is running."""
        with self._changed:
            if self._running:
                _briefly(logger.warning, "Waiting until the new refresh token is stored.")
                self._changed.wait_for(lambda: not self._running, seconds)


_tasks = _Tasks()
_waited_for = threading.Event()
"""Set once a thread waits for the signals, so that handlers have nothing to do."""


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let no signal end the process before a task is through, or `PATIENCE` seconds have passed.

    A signal that comes meanwhile takes effect afterwards. In another thread than the main one this
    holds where `Signals` waits for them: handlers belong to the main thread.
    """
    _tasks.begin()
    try:
        with _deferred():
            yield
    finally:
        _tasks.end()


@contextlib.contextmanager
def _deferred() -> Iterator[None]:
    """In the main thread, put off what the signals would do."""
    if _waited_for.is_set() or threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []
    limit = threading.Timer(PATIENCE, lambda: os._exit(128 + noted[0]))
    limit.daemon = True

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)
        came.set()
        if len(noted) == 1:
            limit.start()

    kept = {number: signal.getsignal(number) for number in _ending()}
    for number in kept:
        signal.signal(number, note)
    try:
        yield
    finally:
        limit.cancel()
        for number, handler in kept.items():
            signal.signal(number, handler)
        if noted:
            came.clear()
            signal.raise_signal(noted[0])


@contextlib.contextmanager
def leaving() -> Iterator[None]:
    """Leave what is done inside, as Ctrl-C does, where another signal comes: its files go.

    For commands that need no more than that; runs have `Signals`. Elsewhere than in the main
    thread it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    kept = {number: signal.getsignal(number) for number in _ending() - {signal.SIGINT}}
    for number in kept:
        signal.signal(number, leave)
    try:
        with heard():
            yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Interrupt what the main thread waits for once a signal has come, so that its handler runs.

    Python runs a handler between two steps of the main thread. A signal that comes after the last
    step before a call that waits, such as for an answer, is heard of when that call returns.
    """
    if not hasattr(signal, "pthread_kill"):  # Windows
        yield
        return
    main, over = threading.get_ident(), threading.Event()
    reader, writer = socket.socketpair()
    writer.setblocking(False)  # noqa: FBT003

    def interrupt() -> None:
        with reader:
            if reader.recv(1):
                while not over.wait(_NUDGE):
                    signal.pthread_kill(main, signal.SIGURG)

    threads.run(interrupt, name="signals")
    # By default it has no effect at all; with a handler it interrupts.
    handler = signal.signal(signal.SIGURG, lambda *_: None)
    told = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(told)
        signal.signal(signal.SIGURG, handler)
        writer.close()


def _ending() -> set[signal.Signals]:
    """Return the signals that end a process; `nohup` has the hang-up ignored, and so it stays."""
    there = {getattr(signal, name) for name in _NAMES if hasattr(signal, name)}
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up and signal.getsignal(hang_up) is signal.SIG_IGN:
        there.remove(hang_up)
    return there
