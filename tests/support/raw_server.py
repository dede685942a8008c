"""A server that sends bytes as a test writes them: whole answers, parts of them, or nothing.

The sandbox plays what the real servers may do. This plays what no server should: bytes that drip,
headers that contradict the body, answers without an end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    Answering = Callable[["Request"], Iterable[bytes]]
    """Yields the bytes of an answer, head included; the connection is closed after the last."""

OK = "200 OK"
TLS = b"\x16"
"""How a client begins that wants TLS."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        head = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        return f"{self.method} {self.target}\n{head}\n\n{self.body!r}"


class RawServer:
    """Answers every request by a function, until the context is left.

    Args:
        answering: The function.
        tls: Makes it speak TLS.

    Attributes:
        requests: Every request, in order.
        connections: How many connections were made.
        left: Set when the context is left, to end pauses.
    """

    def __init__(self, answering: Answering, tls: ssl.SSLContext | None = None) -> None:
        self.answering = answering
        self.requests: list[Request] = []
        self.connections = 0
        self.left = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()
        for connection in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _begin(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.left.is_set():
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                request = _read(connection) if not self._tls else _request(connection)
                if request is None:
                    return
                self.requests.append(request)
                for piece in self.answering(request):
                    connection.sendall(piece)
                # Bytes that nobody reads would make a reset of the close.
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(5)
                while connection.recv(65536):
                    pass

    def drip(self, pieces: Iterable[bytes], seconds: float) -> Iterator[bytes]:
        """Yield pieces with pauses, until the context is left."""
        for piece in pieces:
            yield piece
            if self.left.wait(seconds):
                return


def answer(body: bytes = b"", status: str = OK, **headers: Any) -> bytes:
    """Return a whole answer; underscores in names are hyphens, and a header of None is left out."""
    given = {"Content_Length": len(body), **headers}
    return head(status, **given) + body


def head(status: str = OK, **headers: Any) -> bytes:
    """Return the head of an answer."""
    lines = [f"HTTP/1.1 {status}"]
    lines += [
        f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None
    ]
    return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode("latin-1")


def _read(connection: socket.socket) -> Request | None:
    if connection.recv(1, socket.MSG_PEEK) == TLS:
        return Request("", "", {}, b"")
    return _request(connection)


def _request(connection: socket.socket) -> Request | None:
    with connection.makefile("rb") as stream:
        words = stream.readline().decode("latin-1").split()
        if len(words) < 2:
            return None
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
    return Request(words[0], words[1], headers, body)
