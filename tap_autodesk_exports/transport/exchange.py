"""HTTP that comes to an end and remembers nothing; every request of this package goes through here.

Each exchange has a connection to itself, an end in time, and a body that is read as far as the
caller wants. No cookies, no `.netrc`, no redirects. Proxies and CA bundles of the environment are
used as `requests` reads them.

The time-outs of a socket start again with every byte, so that a server that drips bytes could hold
a run for ever: in its status line, in headers, in the size of a chunk, in trailers. `_Deadline`
therefore shuts the connection down from outside.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import re
import socket
import threading
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationValueError, ReadTimeoutError
from urllib3.util import parse_url

from tap_autodesk_exports import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Connected = Callable[[socket.socket], None]
    """Gets a new connection to the server itself before anything is sent; may refuse it."""

# This library writes the query strings of signed links at DEBUG, and quotes headers that are none,
# with a traceback, as a warning. What failed is said by `failures`.
logging.getLogger("urllib3").setLevel(logging.ERROR)

CONNECT = 15.0
"""Seconds to connect to each of a host's addresses, and for the handshake of TLS."""
SILENCE = 120.0
"""Seconds without a byte after which a server has fallen silent."""
PIECE = 1 << 16
"""Bytes that are read at once at most."""
_CURRENT = threading.local()


class TookTooLong(requests.Timeout):
    """An exchange did not end in the time that it had."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no end in {seconds:g} s")


class TooLarge(requests.RequestException):
    """A body has more bytes than the caller takes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most >> 20} MB")


class Exchange:
    """A request that was sent, and its answer, whose body is still to be read.

    Attributes:
        answer: Status and headers.
    """

    def __init__(self, deadline: _Deadline, answer: requests.Response) -> None:
        self.answer = answer
        self._deadline = deadline

    def extend(self, seconds: float) -> None:
        """Give the rest of the exchange so many seconds from now on."""
        self._deadline.set(seconds)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives, as it is encoded.

        Raises:
            requests.RequestException: The connection broke, or the server fell silent.
        """
        return self._pieces(decoded=False)

    def _pieces(self, *, decoded: bool) -> Iterator[bytes]:
        try:
            while piece := self.answer.raw.read1(PIECE, decode_content=decoded):
                yield piece
        except ReadTimeoutError:
            raise requests.ReadTimeout from None
        except (HTTPError, ValueError, http.client.HTTPException) as error:
            raise requests.ConnectionError(error) from None  # ValueError: of a chunk's size

    def read(self, most: int, *, cut: bool = False) -> requests.Response:
        """Read the body, decode it, and return the answer with it.

        Args:
            most: The most bytes to read.
            cut: Whether to leave out what is more; else it is an error.

        Raises:
            TooLarge: The body has more bytes.
            requests.RequestException: The connection broke, or the server fell silent.
        """
        body = bytearray()
        for piece in self._pieces(decoded=True):
            body += piece
            if len(body) > most:
                if not cut:
                    raise TooLarge(most)
                break
        self.answer.raw = io.BytesIO(body[:most])
        return self.answer


class NoHandshake(requests.Timeout):
    """A server took the connection, and did not answer to TLS."""


class NoBundle(requests.RequestException):
    """The file with CA certificates that the environment names is not there."""


@contextlib.contextmanager
def exchange(
    request: requests.PreparedRequest,
    *,
    seconds: float,
    connect: float = CONNECT,
    silence: float = SILENCE,
    connected: Connected = lambda _: None,
) -> Iterator[Exchange]:
    """Send a request; the connection is closed at the end of the context.

    Args:
        request: As `prepare` returns it.
        seconds: How long all of it may take, its body included.
        connect: Seconds to connect.
        silence: Seconds to wait for the next byte.
        connected: Gets the connection before anything is sent, unless it leads to a proxy.

    Raises:
        TookTooLong: It did not end in time.
        requests.RequestException: The server could not be reached, or the connection broke.
        NoThread: The system starts no further thread.
    """
    environment: dict[str, Any] = dict(
        requests.Session().merge_environment_settings(
            request.url or "", {}, stream=True, verify=None, cert=None
        )
    )
    _check_proxy(select_proxy(request.url or "", environment["proxies"]))
    deadline = _Deadline(seconds, connected)
    _CURRENT.deadline = deadline
    try:
        with contextlib.closing(_Adapter()) as adapter:
            answer = _send(adapter, request, timeout=(connect, silence), **environment)
            with contextlib.closing(answer.raw):  # what `read` puts in its place stays open
                yield Exchange(deadline, answer)
    except requests.RequestException as error:
        if deadline.is_shaking_hands and (deadline.passed or isinstance(error, requests.Timeout)):
            raise NoHandshake from None
        if deadline.passed:
            raise TookTooLong(deadline.seconds) from None
        raise
    else:
        if deadline.passed:  # a connection that is shut down may look like the end of a body
            raise TookTooLong(deadline.seconds)
    finally:
        _CURRENT.deadline = None
        deadline.close()


def _check_proxy(proxy: str | None) -> None:
    """Raise InvalidProxyURL where the environment names a proxy that is none.

    The libraries' own errors look as if the server's URL was wrong.
    """
    if not proxy:
        return
    try:
        parts = parse_url(proxy)
        (parts.host or "").encode("idna")
    except (LocationValueError, ValueError):
        parts = None
    if parts is None or not parts.host or not _A_PROXY.fullmatch(parts.scheme or "http"):
        raise requests.exceptions.InvalidProxyURL


_A_PROXY = re.compile("https?|socks[45][ah]?")
"""Schemes of proxies."""


def _send(
    adapter: HTTPAdapter,
    request: requests.PreparedRequest,
    **how: Any,  # noqa: ANN401
) -> requests.Response:
    """Send a request, and turn what slips through the libraries into their errors."""
    try:
        return adapter.send(request, **how)
    except requests.RequestException:
        raise
    except OSError:  # of no connection: those are exceptions of `requests` by now
        raise NoBundle from None
    except (LocationValueError, UnicodeError):
        raise requests.exceptions.InvalidURL from None
    except (ValueError, http.client.HTTPException) as error:
        raise requests.ConnectionError(error) from None


def fetch(
    request: requests.PreparedRequest,
    *,
    most: int,
    seconds: float,
    connect: float = CONNECT,
    silence: float = SILENCE,
) -> requests.Response:
    """Send a request and return its whole answer.

    Raises:
        TooLarge: The answer has more bytes than `most`.
        requests.RequestException: As `exchange`.
        NoThread: As `exchange`.
    """
    with exchange(request, seconds=seconds, connect=connect, silence=silence) as sent:
        return sent.read(most)


def prepare(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    **parts: Any,  # noqa: ANN401
) -> requests.PreparedRequest:
    """Return a request with nothing in it but what is given here.

    Raises:
        requests.RequestException: The URL or a header is none.
    """
    # With `auth`, credentials come neither from a .netrc nor from the URL.
    parts.setdefault("auth", _unchanged)
    headers = {**(headers or {}), "Connection": "close"}
    try:
        return requests.Session().prepare_request(
            requests.Request(method, url, headers=headers, **parts)
        )
    except (LocationValueError, UnicodeError):
        raise requests.exceptions.InvalidURL from None


def passes_a_proxy(url: str) -> bool:
    """Tell whether a URL is fetched by a proxy that could answer in the server's place."""
    return url.startswith("http://") and bool(select_proxy(url, get_environ_proxies(url)))


def _unchanged(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


class _Deadline:
    """Shuts a connection down when its time has passed, whatever is being waited for.

    Attributes:
        seconds: How long it is.
        passed: Whether it has passed.
        is_shaking_hands: Whether a TLS connection is being made.
    """

    def __init__(self, seconds: float, connected: Connected) -> None:
        self.seconds = seconds
        self.passed = False
        self.is_shaking_hands = False
        self._connected = connected
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self.set(seconds)

    def set(self, seconds: float) -> None:
        """Let the time pass in so many seconds from now."""
        if self._timer:
            self._timer.cancel()
        self.seconds = seconds
        self._timer = threading.Timer(seconds, self._end)
        threads.start(self._timer)

    def watch(self, connection: socket.socket, *, is_proxy: bool) -> None:
        """Take a new connection, before TLS and before anything is sent."""
        if not is_proxy:
            self._connected(connection)
        # Its own descriptor, which does not change when TLS wraps the socket.
        self._socket = connection.dup()
        if self.passed:
            self._end()

    def _end(self) -> None:
        self.passed = True
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._socket:
            self._socket.close()


def _opened(connection: socket.socket, *, is_proxy: bool) -> socket.socket:
    deadline: _Deadline | None = getattr(_CURRENT, "deadline", None)
    try:
        if deadline:
            deadline.watch(connection, is_proxy=is_proxy)
    except BaseException:
        connection.close()
        raise
    return connection


class _Plain(HTTPConnection):
    @override
    def _new_conn(self) -> socket.socket:
        return _opened(super()._new_conn(), is_proxy=self.proxy is not None)


class _Secure(HTTPSConnection):
    @override
    def _new_conn(self) -> socket.socket:
        connection = _opened(super()._new_conn(), is_proxy=self.proxy is not None)
        _shake_hands(begins=True)
        return connection

    @override
    def connect(self) -> None:
        super().connect()
        _shake_hands(begins=False)


def _shake_hands(*, begins: bool) -> None:
    if deadline := getattr(_CURRENT, "deadline", None):
        deadline.is_shaking_hands = begins


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Adapter(HTTPAdapter):
    """The adapter of `requests`, with connections that a deadline watches."""

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    @override
    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS = {"http": _PlainPool, "https": _SecurePool}
