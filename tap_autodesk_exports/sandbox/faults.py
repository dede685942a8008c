"""Faults that users and tests can switch on, per endpoint and occasion.

A fault says where it strikes (API, endpoint, method, path), when (which of the matching requests,
how often, between which moments of the sandbox's clock) and with what effect. There are two kinds:

- faults of a request pass through one place, `Faults.around`, between the server and the APIs;
- faults of an export (`OF_AN_EXPORT`) are drawn when it starts, and stay with it for ever. They are
  matched by API and by the endpoint `submit`.

What a part of the sandbox is like in general is no fault but a switch: see `behaviour.py`.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_autodesk_exports.sandbox.alterations import (
    ALTERATIONS,
    ARRIVES,
    PAUSES,
    Answer,
    merged,
)
from tap_autodesk_exports.sandbox.fault import Effect, Fault
from tap_autodesk_exports.sandbox.storage import BENT, CHUNK_BYTES
from tap_autodesk_exports.sandbox.timeline import Files, Flaws, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from werkzeug.routing import Map

    from tap_autodesk_exports.sandbox.clock import SandboxClock

REDIRECTS = range(300, 400)
OUTCOMES = {
    Effect.ENDS_FAILED: Outcome.FAILED,
    Effect.ENDS_CANCELLED: Outcome.CANCELLED,
    Effect.ENDS_EXPIRED: Outcome.EXPIRED,
    Effect.NEVER_STARTS: Outcome.STUCK,
    Effect.UNKNOWN_STATUS: Outcome.UNKNOWN_STATUS,
    Effect.NO_JOB: Outcome.NO_JOB,
}
FLAWS: dict[Effect, Callable[[Fault], dict[str, Any]]] = {
    Effect.UNREADABLE: lambda fault: {"id_status": fault.status},
    Effect.DEAD_LINKS: lambda fault: {"link_status": fault.status},
    Effect.FILES_GONE: lambda _: {"files": Files.GONE, "link_status": 404},
    Effect.NO_FILES: lambda _: {"files": Files.NONE},
    Effect.NULL_FILES: lambda _: {"files": Files.NULL},
    Effect.WORDS: lambda fault: {"words": fault.body or NO_DATA},
}
OF_AN_EXPORT = OUTCOMES.keys() | FLAWS.keys()
NO_DATA = "No data available for the selected criteria"
_EXPIRED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
)
_PAGE = "<!doctype html>\n<title>Error</title>\n<h1>Something went wrong</h1>\n"
_REFUSAL = json.dumps({"message": "Something went wrong."})
_QUOTA = json.dumps({"developerMessage": "Quota limit exceeded."})
ANSWERS = {
    Effect.HTML: (200, _PAGE, "text/html"),
    Effect.XML: (200, _EXPIRED, "application/xml"),
    Effect.JSON: (200, _REFUSAL, "application/json"),
    Effect.EXPIRED_LINK: (403, _EXPIRED, "application/xml"),
    Effect.QUOTA: (429, _QUOTA, "application/json"),
}


class Faults:
    """The faults of one sandbox, thread-safe.

    Args:
        clock: The sandbox's clock.
        go_away: Refuses all connections for the given number of seconds.
        elsewhere: Returns where redirects lead that name no location.
    """

    def __init__(
        self,
        clock: SandboxClock,
        go_away: Callable[[float], None],
        elsewhere: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._go_away = go_away
        self._elsewhere = elsewhere
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._stopped = threading.Event()

    @property
    def all(self) -> list[Fault]:
        """The faults in the order in which they are tried."""
        with self._lock:
            return list(self._faults)

    def add(self, effect: Effect | str, **fields: Any) -> Fault:  # noqa: ANN401
        """Switch on a fault; `fields` as in `Fault`. Its `struck` counts how often it happened.

        Raises:
            ValueError: Unknown effect or field.
        """
        return self.add_all([{"effect": effect, **fields}])[0]

    def add_all(self, scenario: Iterable[Mapping[str, Any]]) -> list[Fault]:
        """Switch on all faults of a scenario, or none.

        Raises:
            ValueError: One of them has an unknown effect or field.
        """
        faults = [Fault.from_json(entry) for entry in scenario]
        with self._lock:
            self._faults.extend(faults)
        return faults

    def clear(self) -> None:
        """Switch off all faults."""
        with self._lock:
            self._faults.clear()

    def stop(self) -> None:
        """End all stalls."""
        self._stopped.set()

    def starting(self, api: str) -> tuple[Outcome, Flaws]:
        """Return how an export of `api` that starts now will end, and what is wrong with it.

        The first fault of the former kind that strikes decides; those of the latter add up.
        """
        request = {"api": api, "endpoint": "submit"}
        now = self._clock.now()
        outcome: Outcome | None = None
        flaws: dict[str, Any] = {}
        with self._lock:
            for fault in self._faults:
                if fault.effect in OUTCOMES:
                    if outcome is None and fault.matches(request, now) and fault.strikes():
                        outcome = OUTCOMES[fault.effect]
                elif fault.effect in FLAWS and fault.matches(request, now) and fault.strikes():
                    flaws = FLAWS[fault.effect](fault) | flaws
        return outcome or Outcome.SUCCESS, Flaws(**flaws)

    def _next(self, request: Mapping[str, str]) -> Fault | None:
        now = self._clock.now()
        with self._lock:
            for fault in self._faults:
                of_a_request = fault.effect not in OF_AN_EXPORT
                if of_a_request and fault.matches(request, now) and fault.strikes():
                    return fault
        return None

    def around(self, app: WSGIApplication, routes: Map) -> WSGIApplication:
        """Return `app` with the faults in front of it; `routes` names the endpoints."""

        def faulty(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            request = _describe(environ, routes)
            fault = self._next(request) if request else None
            return (
                app(environ, start) if fault is None else self._strike(fault, app, environ, start)
            )

        return faulty

    def _strike(
        self, fault: Fault, app: WSGIApplication, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        match fault.effect:
            case Effect.RESET:
                _reset(environ)
            case Effect.REFUSED:
                self._go_away(fault.seconds)
                _reset(environ)
            case Effect.LOST:
                environ[BENT] = None
                for _ in app(environ, lambda *_: lambda _: None):
                    pass
                _reset(environ)
            case Effect.STALL:
                self._stopped.wait(fault.seconds)
                if environ["REQUEST_METHOD"] == "GET" and _reader_is_gone(environ):
                    _reset(environ)
                return app(environ, start)
            case Effect.FLOOD:
                _begin(start, fault, fault.status, {"Content-Type": fault.content_type})
                return self._flood(fault)
            case Effect.REDIRECT:
                return self._redirect(fault, environ, start)
            case effect if effect in ALTERATIONS:
                return self._altered(fault, app, environ, start)
        status, body, kind = ANSWERS.get(
            fault.effect, (fault.status, fault.body, fault.content_type)
        )
        data = body.encode()
        _begin(start, fault, status, {"Content-Type": kind, "Content-Length": str(len(data))})
        return [data]

    def _altered(
        self, fault: Fault, app: WSGIApplication, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        """Execute the request and send its answer altered.

        A file that was altered does not count as served, unless its bytes arrive in the end.
        """
        if fault.effect in {Effect.GZIP, Effect.GZIP_CUT, Effect.RANGE_START}:
            environ["HTTP_RANGE"] = "bytes=0-" if fault.effect is Effect.RANGE_START else ""
        answer = _executed(app, environ)
        sent: Callable[[], Any] = environ[BENT] or (lambda: None)
        ALTERATIONS[fault.effect](answer, fault)
        answer.set(fault.headers)
        start(answer.status, list(answer.headers.items()))
        if fault.effect in PAUSES:
            return self._with_pauses(fault, environ, answer, sent)
        if fault.effect in ARRIVES:
            sent()
        return [answer.body]

    def _with_pauses(
        self, fault: Fault, environ: WSGIEnvironment, answer: Answer, sent: Callable[[], Any]
    ) -> Iterator[bytes]:
        """Yield the body in pieces with pauses between them, while anybody reads."""
        pieces = answer.pieces(fault)
        for number, piece in enumerate(pieces, 1):
            if number > 1:
                self._stopped.wait(fault.seconds)
                if _reader_is_gone(environ):
                    _reset(environ)
            if number == len(pieces):
                sent()
            yield piece

    def _flood(self, fault: Fault) -> Iterator[bytes]:
        """Yield a body of the given size, or one that ends when nobody reads any more."""
        piece = (fault.body or "x").encode()
        piece *= max(1, CHUNK_BYTES // len(piece))
        left = fault.size or None
        while not self._stopped.is_set() and left != 0:
            part = piece if left is None else piece[:left]
            left = None if left is None else left - len(part)
            yield part

    def _redirect(
        self, fault: Fault, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        status = fault.status if fault.status in REDIRECTS else HTTPStatus.FOUND
        base = fault.location or self._elsewhere()
        query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
        location = base + quote(environ["PATH_INFO"]) + query
        _begin(start, fault, status, {"Location": location, "Content-Length": "0"})
        return []


def _executed(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """Execute a request, and return its whole answer."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def begin(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[..., None]:  # noqa: ANN401
        begun.append((status, headers))
        return lambda _: None

    environ[BENT] = None
    chunks = app(environ, begin)
    status, headers = begun[0]
    body = b"".join(chunks)
    if close := getattr(chunks, "close", None):
        close()
    return Answer(status, dict(headers), body)


def _begin(start: StartResponse, fault: Fault, status: int, headers: Mapping[str, str]) -> None:
    """Begin the answer of a fault; its own headers come first."""
    start(f"{int(status)} Fault", list(merged(headers, fault.headers).items()))


def _describe(environ: WSGIEnvironment, routes: Map) -> dict[str, str]:
    """Return API, endpoint, method and path of a request; nothing for the admin endpoints."""
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    try:
        endpoint, arguments = routes.bind("sandbox").match(path, method)
    except Exception:  # noqa: BLE001 - a request that no route takes is answered by the app
        return {}
    api, _, name = str(endpoint).partition(".")
    if api == "admin":
        return {}
    api = arguments["api"] if api == "storage" else api
    asked = environ.get("HTTP_RANGE", "")
    return {"api": api, "endpoint": name, "method": method, "path": path, "range": asked}


def _reset(environ: WSGIEnvironment) -> None:
    """Make the server drop the connection with a reset."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError


def _reader_is_gone(environ: WSGIEnvironment) -> bool:
    """Whether the reader has closed the connection: anything sent now would count as served."""
    connection: socket.socket = environ["werkzeug.socket"]
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
