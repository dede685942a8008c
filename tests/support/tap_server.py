"""Runs of the tap, each a process of its own, without the seconds that its imports take.

One process imports the tap and forks the others. It reads orders from a socket: JSON, and with it
three file descriptors, for standard output, for standard error, and for the run's own news, which
are its process ID and, when it has ended, its exit code.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports import signals, tap
from tap_autodesk_exports.autodesk import http
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.exports import download

if TYPE_CHECKING:
    import threading


class QuickClock(Clock):
    """A clock on which every pause is shorter by the same factor."""

    def __init__(self, pace: float) -> None:
        self._pace = pace

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        return stop.wait(seconds * self._pace)


def main() -> None:
    """Take orders until nobody is left to give any."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the supervisors
    orders = socket.socket(fileno=int(sys.argv[1]))
    while True:
        data, descriptors, *_ = socket.recv_fds(orders, 1 << 20, 3)
        if not data:
            return
        if os.fork() == 0:
            orders.close()
            supervise(json.loads(data), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def supervise(order: dict[str, Any], out: int, err: int, news: int) -> None:
    """Begin the run in a further process, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(news)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        run(order)
    os.close(out)
    os.close(err)
    os.write(news, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(news, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def run(order: dict[str, Any]) -> None:
    """Be the tap."""
    os.environ.update(order["environment"])
    tap.TapAutodeskExports.clock = QuickClock(order["pace"])
    if order["timeout"] is not None:
        http.TIMEOUT = download.TIMEOUT = (order["timeout"], order["timeout"])
    if order["grace"] is not None:
        signals.GRACE = order["grace"]
    tap.TapAutodeskExports.cli(order["arguments"], prog_name="tap-autodesk-exports")


if __name__ == "__main__":
    main()
