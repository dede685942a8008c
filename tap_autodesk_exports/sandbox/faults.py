"""Faults that users and tests can switch on, per endpoint and occasion.

A fault says where it strikes (API, endpoint, method, path), when (which of the matching requests,
how often) and with what effect. All of them pass through one place, `Faults.around`, between the
server and the APIs; only how an export ends is decided when it starts.
"""

from __future__ import annotations

import dataclasses
import io
import json
import socket
import struct
import threading
import zipfile
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.storage import BENT
from tap_autodesk_exports.sandbox.timeline import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from werkzeug.routing import Map

HALF = -1
"""`after_bytes` of a fault that strikes in the middle of the body, wherever that is."""


class Effect(StrEnum):
    """What a fault does."""

    STATUS = "status"
    """Answers `status` with `headers` and `body`; the request is not executed."""
    RESET = "reset"
    """Resets the connection; the request is not executed."""
    LOST = "lost"
    """Executes the request and resets the connection instead of answering."""
    REFUSED = "refused"
    """Resets the connection and refuses every other one for `seconds`."""
    STALL = "stall"
    """Waits for `seconds`, then executes the request; a GET only if its reader is still there."""
    STALL_BODY = "stall_body"
    """Sends the body up to `after_bytes`, waits for `seconds`, and sends the rest."""
    TRUNCATE = "truncate"
    """Ends the connection after `after_bytes`, with the length of the whole body announced."""
    WRONG_LENGTH = "wrong_length"
    """Sends the body up to `after_bytes` and announces that as its whole length."""
    CORRUPT = "corrupt"
    """Sends the body with another byte at `after_bytes`."""
    HTML = "html"
    """Answers 200 with an HTML error page instead of the file."""
    XML = "xml"
    """Answers 200 with an XML error document instead of the file."""
    ZIP = "zip"
    """Answers with a ZIP of the file instead of the file."""
    EXPIRED_LINK = "expired_link"
    """Answers as the storage does when a link has expired."""
    QUOTA = "quota"
    """Answers 429 as a used-up quota does, without `Retry-After` unless `headers` has one."""
    ENDS_FAILED = "ends_failed"
    """The export ends in ERROR, Error, failed."""
    ENDS_CANCELLED = "ends_cancelled"
    """The job ends as cancelled (ERROR, Error with the other APIs)."""
    ENDS_EXPIRED = "ends_expired"
    """The export ends as EXPIRED (Error, failed with the other APIs)."""
    NEVER_STARTS = "never_starts"
    """The export stays SUBMITTED, Requested, queued."""
    UNKNOWN_STATUS = "unknown_status"
    """The export gets a status that is not documented."""
    NO_JOB = "no_job"
    """The request never spawns a job (with the other APIs, the export waits for ever)."""


OUTCOMES = {
    Effect.ENDS_FAILED: Outcome.FAILED,
    Effect.ENDS_CANCELLED: Outcome.CANCELLED,
    Effect.ENDS_EXPIRED: Outcome.EXPIRED,
    Effect.NEVER_STARTS: Outcome.STUCK,
    Effect.UNKNOWN_STATUS: Outcome.UNKNOWN_STATUS,
    Effect.NO_JOB: Outcome.NO_JOB,
}
_EXPIRED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
)
_PAGE = "<!doctype html>\n<title>Error</title>\n<h1>Something went wrong</h1>\n"
_QUOTA = json.dumps({"developerMessage": "Quota limit exceeded."})
ANSWERS = {
    Effect.HTML: (200, _PAGE, "text/html"),
    Effect.XML: (200, _EXPIRED, "application/xml"),
    Effect.EXPIRED_LINK: (403, _EXPIRED, "application/xml"),
    Effect.QUOTA: (429, _QUOTA, "application/json"),
}


@dataclasses.dataclass
class Fault:
    """A fault; a field that is None matches everything, text is matched as a shell pattern.

    Attributes:
        effect: What happens.
        api: `insights`, `tokenflex`, `data_connector` or `authentication`; a file belongs to
            the API that made it.
        endpoint: Name of the endpoint, such as `submit`, `export`, `job`, `link`, `file`, `_token`.
        method: HTTP method.
        path: Path of the request.
        occasions: Which of the matching requests it strikes, counted from 1; a request that an
            earlier fault strikes is not counted.
        times: How often it strikes at most; None: always.
        status: Of the effect `status`.
        headers: Further headers of an answer.
        body: Body of the effect `status`.
        content_type: Of that body.
        seconds: How long `stall`, `stall_body` and `refused` last.
        after_bytes: Where `truncate`, `wrong_length`, `corrupt` and `stall_body` strike;
            default: half.
        struck: How often it has struck.
    """

    effect: Effect
    api: str | None = None
    endpoint: str | None = None
    method: str | None = None
    path: str | None = None
    occasions: tuple[int, ...] | None = None
    times: int | None = 1
    status: int = 500
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: str = ""
    content_type: str = "text/plain"
    seconds: float = 1.0
    after_bytes: int = HALF
    struck: int = 0
    seen: int = dataclasses.field(default=0, repr=False)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Fault:
        """Read a fault from an entry of a scenario.

        Raises:
            ValueError: It has an unknown effect or field.
        """
        fields = {field.name for field in dataclasses.fields(cls)} - {"struck", "seen"}
        if unknown := set(entry) - fields:
            known = ", ".join(sorted(fields))
            msg = f"A fault has no field {', '.join(sorted(unknown))}; its fields are {known}."
            raise ValueError(msg)
        given = dict(entry)
        if "occasions" in given and given["occasions"] is not None:
            given["occasions"] = tuple(given["occasions"])
            given.setdefault("times", None)
        return cls(**{**given, "effect": Effect(given.get("effect", ""))})

    def as_json(self) -> dict[str, Any]:
        """Return it with the count of its strikes."""
        return dataclasses.asdict(self)

    def matches(self, request: Mapping[str, str]) -> bool:
        """Whether a request with these `api`, `endpoint`, `method` and `path` is meant."""
        return all(
            pattern is None or fnmatchcase(request[name], pattern)
            for name in ("api", "endpoint", "method", "path")
            if (pattern := getattr(self, name)) is not None and name in request
        )

    def strikes(self) -> bool:
        """Count a matching request, and say whether the fault strikes it."""
        self.seen += 1
        due = self.occasions is None or self.seen in self.occasions
        if not due or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True


class Faults:
    """The faults of one sandbox, thread-safe.

    Args:
        go_away: Refuses all connections for the given number of seconds.
    """

    def __init__(self, go_away: Callable[[float], None]) -> None:
        self._go_away = go_away
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

    def outcome(self, api: str) -> Outcome:
        """Return how an export of `api` that starts now will end."""
        request = {"api": api, "endpoint": "submit"}
        with self._lock:
            for fault in self._faults:
                if fault.effect in OUTCOMES and fault.matches(request) and fault.strikes():
                    return OUTCOMES[fault.effect]
        return Outcome.SUCCESS

    def _next(self, request: Mapping[str, str]) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.effect not in OUTCOMES and fault.matches(request) and fault.strikes():
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
            case (
                Effect.STALL_BODY
                | Effect.TRUNCATE
                | Effect.WRONG_LENGTH
                | Effect.CORRUPT
                | Effect.ZIP
            ):
                return self._bent(fault, app, environ, start)
        status, body, kind = ANSWERS.get(
            fault.effect, (fault.status, fault.body, fault.content_type)
        )
        data = body.encode()
        headers = {"Content-Type": kind, "Content-Length": str(len(data)), **fault.headers}
        start(f"{status} Fault", list(headers.items()))
        return [data]

    def _bent(
        self, fault: Fault, app: WSGIApplication, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        """Send the answer with its body bent; the file then does not count as served."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def begin(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[..., None]:  # noqa: ANN401
            begun.append((status, headers))
            return lambda _: None

        environ[BENT] = None
        chunks = app(environ, begin)
        (status, pairs) = begun[0]
        headers = dict(pairs)
        body = b"".join(chunks)
        if close := getattr(chunks, "close", None):
            close()
        cut = len(body) // 2 if fault.after_bytes == HALF else min(fault.after_bytes, len(body))
        if fault.effect is Effect.STALL_BODY:
            start(status, list(headers.items()))
            return self._with_a_pause(fault, environ, body[:cut], body[cut:])
        match fault.effect:
            case Effect.ZIP:
                body = _zipped(body)
            case Effect.CORRUPT:
                body = body[:cut] + bytes([body[cut] ^ 0xFF]) + body[cut + 1 :]
            case _:
                body = body[:cut]
        if fault.effect is not Effect.TRUNCATE:
            headers["Content-Length"] = str(len(body))
        start(status, list(headers.items()))
        return [body]

    def _with_a_pause(
        self, fault: Fault, environ: WSGIEnvironment, begin: bytes, end: bytes
    ) -> Iterator[bytes]:
        yield begin
        self._stopped.wait(fault.seconds)
        if _reader_is_gone(environ):
            _reset(environ)
        if sent := environ[BENT]:
            sent()
        yield end


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
    return {"api": api, "endpoint": name, "method": method, "path": path}


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


def _zipped(body: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file.csv", body)
    return target.getvalue()
