"""Programs of the package as processes of their own, without the time that their imports take.

One process imports them and forks the others. It reads orders from a socket: JSON, and with it
three file descriptors, for standard output, for standard error, and for news of the process, which
are its ID and, when it has ended, its status and the most memory that it held.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAP = "tap-autodesk-exports"


class Forks:
    """Begins processes; it belongs to the process that made it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**environment, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    def begin(  # noqa: PLR0913, PLR0917
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        pace: float,
        out: int,
        err: int,
    ) -> Fork:
        """Begin a program, the first word of a command, with the length of its pauses."""
        order = {
            "command": list(command),
            "environment": dict(environment),
            "folder": str(folder),
            "pace": pace,
        }
        news, theirs = socket.socketpair()
        data = json.dumps(order).encode()
        socket.send_fds(self._orders, [data], [out, err, theirs.fileno()])
        theirs.close()
        return Fork(news)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._orders.close()
        self._process.wait()


class Fork:
    """A process that was begun.

    Attributes:
        pid: Its ID.
        returncode: How it ended; None while it runs.
        peak: The most memory that it held, in bytes, once it has ended.
    """

    def __init__(self, news: socket.socket) -> None:
        self._news = news
        self._heard = b""
        self.returncode: int | None = None
        self.peak = 0
        while b"\n" not in self._heard:
            said = news.recv(100)
            assert said, "the process that forks the others has died"
            self._heard += said
        first, _, self._heard = self._heard.partition(b"\n")
        self.pid = int(first)
        news.settimeout(0)

    def poll(self) -> int | None:
        """Return how it ended, or None."""
        while self.returncode is None:
            try:
                said = self._news.recv(100)
            except BlockingIOError:
                return None
            self._heard += said
            if b"\n" in self._heard or not said:
                words = self._heard.split() or [b"-9", b"0"]
                self.returncode, self.peak = int(words[0]), int(words[1]) * 1024
                self._news.close()
        return self.returncode

    def wait(self) -> int:
        """Wait for its end."""
        self._news.settimeout(None)
        while (code := self.poll()) is None:
            pass
        return code


def _serve(orders: socket.socket) -> None:
    """Take orders until nobody is left to give any."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the supervisors
    while True:
        data, descriptors, *_ = socket.recv_fds(orders, 1 << 20, 3)
        if not data:
            return
        if os.fork() == 0:
            orders.close()
            _supervise(json.loads(data), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _supervise(order: dict[str, Any], out: int, err: int, news: int) -> None:
    """Begin the program in a further process, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(news)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        _run(order)
        return
    os.close(out)
    os.close(err)
    os.write(news, f"{pid}\n".encode())
    _, status, used = os.wait4(pid, 0)
    os.write(news, f"{os.waitstatus_to_exitcode(status)} {used.ru_maxrss}\n".encode())
    os._exit(0)


def _run(order: dict[str, Any]) -> None:
    """Be the program."""
    from support import tap_server

    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None
    program, *arguments = order["command"]
    sys.argv = order["command"]
    if program == TAP:
        tap_server.run(
            {
                "arguments": arguments,
                "environment": {},
                "pace": order["pace"],
                "timeout": None,
                "grace": None,
            }
        )
    else:
        from tap_autodesk_exports import cli

        cli.main(arguments, prog_name=program)


def main() -> None:
    import duckdb  # noqa: F401

    from support import tap_server  # noqa: F401

    _serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
