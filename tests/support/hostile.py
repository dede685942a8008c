"""An HTTP server that does what servers must not do: a test says what, path by path.

It stands in front of a sandbox, whose answers it passes on where no rule says otherwise, or alone
as a stranger's host. It also is a proxy: requests in absolute form and CONNECT reach the same
rules, whatever host they name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.client
import json
import socket
import struct
import threading
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    Action = Callable[["Exchange"], None]
    Pieces = Iterable[bytes] | Callable[[], Iterable[bytes]]

REASON = "Hostile"
CHUNK = bytes(64 * 1024)


@dataclasses.dataclass(frozen=True)
class Request:
    """A request as it came in; `host` is the one that the request itself names."""

    method: str
    scheme: str
    host: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.target}"

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    def everything(self) -> str:
        """The whole request as text, to look for what must not be in it."""
        head = "\n".join(f"{name}: {value}" for name, value in self.headers)
        return f"{self.method} {self.url}\n{head}\n\n{self.body.decode('latin-1')}"


@dataclasses.dataclass
class Answer:
    """An answer of the sandbox, to be changed before it is passed on."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request and the connection on which it is answered."""

    def __init__(self, server: Hostile, connection: socket.socket, request: Request) -> None:
        self.server = server
        self.connection = connection
        self.request = request
        self.sent = 0

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)
        self.sent += len(data)

    def head(self, status: int = 200, reason: str = REASON, **headers: Any) -> None:
        """Send a status line and headers; a name's underscores are hyphens."""
        lines = [f"HTTP/1.1 {status} {reason}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += ["Connection: close", "", ""]
        self.send("\r\n".join(lines).encode("latin-1", "replace"))

    def reply(self, status: int, body: bytes = b"", **headers: Any) -> None:
        names = {name.replace("_", "-").lower() for name in headers}
        if not names & {"content-length", "transfer-encoding"}:
            headers["Content-Length"] = len(body)
        self.head(status, **headers)
        self.send(body)

    def wait(self, seconds: float) -> None:
        """Wait, or until the server is stopped, which drops the connection."""
        if self.server.stopped.wait(seconds):
            raise ConnectionAbortedError

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError

    def forward(self) -> Answer:
        """Ask the sandbox; its own address in the answer becomes that of this server."""
        upstream = self.server.upstream
        assert upstream, "nothing is behind this server"
        netloc = urlsplit(upstream).netloc
        client = http.client.HTTPConnection(netloc, timeout=60)
        headers = {name: value for name, value in self.request.headers if name.lower() != "host"}
        given = headers.get("Authorization", "")
        headers |= {"Authorization": self.server.translate.get(given, given)} if given else {}
        with contextlib.closing(client):
            client.request(
                self.request.method, self.request.target, self.request.body or None, headers
            )
            got = client.getresponse()
            body = got.read()
        kept = {
            name: value
            for name, value in got.getheaders()
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}
        }
        if "json" in kept.get("Content-Type", "") or "html" in kept.get("Content-Type", ""):
            here = f"{self.request.scheme}://{self.request.host}"
            body = body.replace(upstream.encode(), here.encode())
        return Answer(got.status, kept, body)

    def pass_on(self, answer: Answer) -> None:
        self.reply(answer.status, answer.body, **answer.headers)


@dataclasses.dataclass
class Rule:
    """What is done with the requests that a pattern names, and which they were."""

    pattern: str
    action: Action
    times: int | None
    skip: int = 0
    met: list[Exchange] = dataclasses.field(default_factory=list)

    def matches(self, request: Request) -> bool:
        method, _, where = self.pattern.partition(" ")
        there = request.url.partition("?")[0] if "://" in where else request.path
        return fnmatchcase(request.method, method) and fnmatchcase(there, where)

    def takes(self, request: Request) -> bool:
        """Whether it strikes this matching request; the first `skip` pass."""
        if not self.matches(request) or (self.times is not None and len(self.met) >= self.times):
            return False
        self.skip -= 1
        return self.skip < 0

    @property
    def sent(self) -> int:
        return sum(exchange.sent for exchange in self.met)


class Hostile:
    """Serves on a free port of 127.0.0.1 until it is stopped.

    Args:
        upstream: Base URL of the sandbox behind it.
        tls: Makes it an HTTPS server.
        inner_tls: What it shows after a CONNECT.

    Attributes:
        requests: Every request, in order.
        translate: Values of the Authorization header that the sandbox gets another one for.
        connections: How many connections were made.
    """

    def __init__(
        self,
        upstream: str = "",
        tls: ssl.SSLContext | None = None,
        inner_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.upstream = upstream
        self.stopped = threading.Event()
        self.requests: list[Request] = []
        self.translate: dict[str, str] = {}
        self.connections = 0
        self.greeting: Callable[[socket.socket], None] | None = None
        self._tls, self._inner_tls = tls, inner_tls
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.netloc = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.netloc}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def on(self, pattern: str, action: Action, *, times: int | None = None, skip: int = 0) -> Rule:
        """Have `action` answer requests such as `GET /a/*`; the newest matching rule counts.

        A pattern with `://` is compared with the whole URL without its query, any other with the
        path alone.
        """
        rule = Rule(pattern, action, times, skip)
        with self._lock:
            self._rules.insert(0, rule)
        return rule

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def seen(self, pattern: str) -> list[Request]:
        """Return the requests that a pattern names."""
        rule = Rule(pattern, nothing, None)
        return [request for request in self.requests if rule.matches(request)]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self.greeting:
                self.greeting(plain)
            if self._tls:
                connection = self._tls.wrap_socket(plain, server_side=True)
            self._converse(connection, "https" if self._tls else "http")
        except (OSError, ValueError, http.client.HTTPException):  # the client hung up, or we did
            pass
        finally:
            with self._lock:
                self._open.discard(plain)
            connection.close()
            plain.close()

    def _converse(self, connection: socket.socket, scheme: str) -> None:
        request = _read(connection, scheme)
        if request is None:
            return
        rule = self._rule(request)
        exchange = Exchange(self, connection, request)
        if rule:
            rule.met.append(exchange)
            rule.action(exchange)
        elif request.method == "CONNECT":
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            assert self._inner_tls, "no certificate to show after a CONNECT"
            with self._inner_tls.wrap_socket(connection, server_side=True) as inner:
                self._converse(inner, "https")
            return
        elif self.upstream:
            exchange.pass_on(exchange.forward())
        else:
            exchange.reply(200, b"[]", Content_Type="application/json")
        _linger(connection)

    def _rule(self, request: Request) -> Rule | None:
        with self._lock:
            self.requests.append(request)
            return next((rule for rule in self._rules if rule.takes(request)), None)


def _read(connection: socket.socket, scheme: str) -> Request | None:
    stream = connection.makefile("rb")
    words = stream.readline(65537).decode("latin-1").split()
    if len(words) < 2:
        return None
    method, target = words[0], words[1]
    fields = tuple(http.client.parse_headers(stream).items())
    lower = {name.lower(): value for name, value in fields}
    body = stream.read(int(lower.get("content-length", 0)))
    host = lower.get("host", "")
    if "://" in target:
        parts = urlsplit(target)
        scheme, host = parts.scheme, parts.netloc
        target = target.partition("://")[2].partition("/")[2]
        target = f"/{target}"
    elif method == "CONNECT":
        host, target = target, "/"
    return Request(method, scheme, host, target, fields, body)


def _linger(connection: socket.socket) -> None:
    """Close politely: a close with unread bytes would reset what is still on its way."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(1)
        while connection.recv(65536):
            pass


# What to do with a request.


def nothing(_: Exchange) -> None:
    """Close the connection."""


def reset(exchange: Exchange) -> None:
    exchange.reset()


def answer(status: int = 200, body: bytes | str = b"", **headers: Any) -> Action:
    """Answer; text is JSON unless `headers` says otherwise."""
    data = body.encode() if isinstance(body, str) else body
    given = {"Content_Type": "application/json", **headers}
    return lambda exchange: exchange.reply(status, data, **given)


def json_answer(content: Any, status: int = 200, **headers: Any) -> Action:
    return answer(status, json.dumps(content), **headers)


def redirect(code: int, location: str) -> Action:
    return answer(code, b"", Location=location)


def raw(data: bytes) -> Action:
    """Send these bytes and close."""
    return lambda exchange: exchange.send(data)


def silent(exchange: Exchange) -> None:
    """Say nothing for ever."""
    exchange.wait(3600)


def slow(seconds: float, then: Action) -> Action:
    def action(exchange: Exchange) -> None:
        exchange.wait(seconds)
        then(exchange)

    return action


def forward(exchange: Exchange) -> None:
    exchange.pass_on(exchange.forward())


def change(how: Callable[[Answer], Answer | None]) -> Action:
    """Pass the sandbox's answer on as `how` leaves it."""

    def action(exchange: Exchange) -> None:
        given = exchange.forward()
        exchange.pass_on(how(given) or given)

    return action


def edit(how: Callable[[Any], Any]) -> Action:
    """Pass the sandbox's JSON on as `how` leaves it; a status other than 2xx is left alone."""

    def changed(given: Answer) -> None:
        if given.status < 300:
            content = given.json
            result = how(content)
            given.body = json.dumps(content if result is None else result).encode()

    return change(changed)


def _fresh(pieces: Pieces) -> Iterable[bytes]:
    """Return the pieces of one answer; what can be iterated over once is given as a function."""
    return pieces() if callable(pieces) else pieces


def lazily(make: Callable[[], Action]) -> Action:
    """Make an action when it is first needed: a large answer is not made to collect the trials."""
    made = functools.cache(make)
    return lambda exchange: made()(exchange)  # noqa: PLW0108 - made() now would be too early


def drip(
    data: Pieces, pause: float, status: int = 200, head: Mapping[str, Any] | None = None
) -> Action:
    """Send a head at once and the body a piece at a time."""

    def action(exchange: Exchange) -> None:
        exchange.head(status, **(head or {"Content_Type": "application/json"}))
        for piece in _fresh(data):
            exchange.wait(pause)
            exchange.send(piece)

    return action


def drip_raw(data: Pieces, pause: float) -> Action:
    """Send bytes a piece at a time, the head included."""

    def action(exchange: Exchange) -> None:
        for piece in _fresh(data):
            exchange.send(piece)
            exchange.wait(pause)

    return action


def flood(
    piece: bytes = CHUNK,
    status: int = 200,
    limit: int = 4 << 30,
    begin: bytes = b"",
    **headers: Any,
) -> Action:
    """Send a body as fast as it is taken, without an end or up to `limit` bytes."""

    def action(exchange: Exchange) -> None:
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        exchange.head(status, **{"Content_Type": "application/json", **headers})
        exchange.send(begin)
        until = time.monotonic() + 300
        while exchange.sent < limit and time.monotonic() < until:
            exchange.send(piece)

    return action


def chunked(pieces: Pieces, pause: float = 0.0, end: bytes = b"0\r\n\r\n") -> Action:
    """Send a chunked body; `end` may be what no chunked body ends with."""

    def action(exchange: Exchange) -> None:
        exchange.head(Content_Type="application/json", Transfer_Encoding="chunked")
        for piece in _fresh(pieces):
            exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            exchange.wait(pause)
        exchange.send(end)

    return action
