"""The tap as a process that a test can stop at any moment, read as a target would read it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SMALL_PIPE = 4096
"""Bytes of the pipe: the tap cannot get far ahead of whoever reads."""
PATIENCE = 60.0
"""Seconds after which a test gives up waiting."""

Message = dict[str, Any]


class TapServer:
    """Begins runs (see `tap_server`)."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server = Path(__file__).with_name("tap_server.py")
        self._process = subprocess.Popen(
            [sys.executable, str(server), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=processes.clean_environment(),
        )
        theirs.close()

    def begin(  # noqa: PLR0913
        self,
        folder: Path,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any] | None = None,
        catalog: Mapping[str, Any] | None = None,
        until: Callable[[Message], bool] | None = None,
        pace: float = 0.05,
        timeout: float | None = None,
        grace: float | None = None,
        level: str = "INFO",
    ) -> TapProcess:
        """Begin a run of the tap.

        Args:
            folder: Where its files are, the temporary ones included.
            config: Its settings.
            state: Its state.
            catalog: Its catalog.
            until: Messages are read until this is true of one; then the tap is not read further.
            pace: Length of the tap's pauses, where 1 is their real one.
            timeout: Seconds after which it takes a silent server for dead; None: its own.
            grace: Seconds that the run gets after a signal; None: as always.
            level: Log level.
        """
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        arguments = []
        for name, content in {"config": config, "state": state, "catalog": catalog}.items():
            if content is not None:
                path = folder / f"{name}.json"
                path.write_text(json.dumps(content), encoding="utf-8")
                arguments += [f"--{name}", str(path)]
        order = {
            "arguments": arguments,
            "environment": {
                "TMPDIR": str(temporary),
                "TAP_AUTODESK_EXPORTS_LOGLEVEL": level,
            },
            "pace": pace,
            "timeout": timeout,
            "grace": grace,
        }
        reader, out = os.pipe()
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the process that gets it
        news, theirs = socket.socketpair()
        socket.send_fds(
            self._orders, [json.dumps(order).encode()], [out, errors.fileno(), theirs.fileno()]
        )
        os.close(out)
        theirs.close()
        return TapProcess(reader, errors, news, temporary, str(config["api_url"]), until)

    def close(self) -> None:
        self._orders.close()
        self._process.wait()


class TapProcess:
    """A run of the tap.

    Attributes:
        taken: The lines that were read up to the moment at which the test stopped reading: what a
            target would have had.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        reader: int,
        errors: Any,
        news: socket.socket,
        temporary: Path,
        api_url: str,
        until: Callable[[Message], bool] | None,
    ) -> None:
        self._out = os.fdopen(reader, "rb")
        self._errors = errors
        self._news = news.makefile("r")
        news.close()
        self._temporary = temporary
        self._api_url = api_url
        self._until = until
        self._not_taken = b""
        self._ended = False
        self.taken: list[bytes] = []
        self.reached = threading.Event()
        self.pid = int(self._news.readline())
        self.command_line = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        for line in self._out:
            self.taken.append(line)
            if self._until and line.endswith(b"\n") and self._until(json.loads(line)):
                self.reached.set()
                return

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a moment in the life of the tap or of the sandbox."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline or not Path(f"/proc/{self.pid}").exists():
                raise AssertionError(f"The moment did not come: {self.log()}")
            time.sleep(0.002)

    def send(self, number: int) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def files(self) -> list[str]:
        """Return the temporary files that are there."""
        return [str(path.relative_to(self._temporary)) for path in self._temporary.rglob("*")]

    def kill(self) -> processes.TapRun:
        """Kill it, the hard way, and return what a target had got of it."""
        self.wait_until(lambda: self._until is None or self.reached.is_set())
        self.send(signal.SIGKILL)
        return self.end()

    def read_on(self) -> None:
        """Take what comes after the moment as well."""
        self._until = None
        self._reading.join()
        self.reached.clear()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def hang_up(self) -> None:
        """Die as a target does: the tap's next line has no reader."""
        self._reading.join()
        self._out.close()

    @property
    def is_cut(self) -> bool:
        """Whether the last line that was read is no whole one."""
        return bool(self.taken) and not self.taken[-1].endswith(b"\n")

    def end(self) -> processes.TapRun:
        """Wait for its end, and return what a target had got of it.

        Nothing that it said anywhere may hold a secret of the sandbox.
        """
        code = int(self._news.readline())
        self._ended = True
        self._reading.join()
        if self.reached.is_set() and not self._out.closed:
            self._not_taken = self._out.read()
        log = self.log()
        self.close()
        said = b"".join([*self.taken, self._not_taken, self.command_line]).decode()
        processes.assert_no_secret(self._api_url, said, log, *self.files())
        whole = [line for line in self.taken if line.endswith(b"\n")]
        messages = [json.loads(line, parse_float=Decimal) for line in whole]
        return processes.TapRun(messages, log, code)

    def close(self) -> None:
        """Kill it, if it still runs, and close what it was read through."""
        if not self._news.closed:
            if not self._ended:
                self.send(signal.SIGKILL)
            self._reading.join()
            self._out.close()
            self._errors.close()
            self._news.close()

    def log(self) -> str:
        """Return what it logged so far."""
        self._errors.flush()
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode()
