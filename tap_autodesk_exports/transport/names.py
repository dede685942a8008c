"""A host's name is resolved in the time of a connection.

The system's resolver takes no time-out, and no signal and no shut-down of a connection wakes it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading

from tap_autodesk_exports import threads


def resolve(host: str, port: int, seconds: float) -> None:
    """Wait until the resolver has answered, whatever it answers; it then does so again at once.

    Args:
        host: The name, or an address, which needs no resolver.
        port: The port.
        seconds: How long to wait.

    Raises:
        socket.gaierror: It did not answer in time.
        NoThread: The system starts no further thread.
    """
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.strip("[]"))
        return
    answered = threading.Event()
    threads.run(_look_up, host, port, answered, name="resolver")
    if not answered.wait(seconds):
        msg = "the resolver did not answer in time"
        raise socket.gaierror(socket.EAI_AGAIN, msg)


def _look_up(host: str, port: int, answered: threading.Event) -> None:
    with contextlib.suppress(OSError, UnicodeError):
        socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    answered.set()
