"""HTTP as all three APIs speak it: sign-in, rate limits, retries, and errors as sentences."""

from __future__ import annotations

import dataclasses
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import requests

from tap_autodesk_exports.autodesk.limits import GIVEN_UP, CircuitBreaker, RateLimiter
from tap_autodesk_exports.autodesk.refusals import advice, retry_after, said
from tap_autodesk_exports.autodesk.server_time import ServerTime
from tap_autodesk_exports.clock import pause
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.json_reading import TooDeep, TooMuch, read_json
from tap_autodesk_exports.signin.errors import SignInError
from tap_autodesk_exports.transport.exchange import (
    CONNECT,
    SILENCE,
    exchange,
    passes_a_proxy,
    prepare,
)
from tap_autodesk_exports.transport.failures import explain

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from tap_autodesk_exports.apis import Api
    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.signin import SignIn
    from tap_autodesk_exports.transport.failures import Failure

logger = logging.getLogger("tap-autodesk-exports")

TIMEOUT = (CONNECT, SILENCE)
"""Seconds to connect, and to wait for the next bytes."""
REQUEST_SECONDS = 300.0
"""Seconds that a request may take with its whole answer, where the settings do not say."""
TRIES = 6
SILENT_TRIES = 3
"""How often a server is tried that takes long to say nothing: each time costs minutes."""
LONGEST_HEADER = 16 << 10
"""Characters of a header: no server takes more."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
FIRST_PAUSE_AFTER_429 = 10.0
"""Where the server does not say how long: all documented limits of requests are by the minute."""
LONGEST_RETRY_AFTER = 900.0
"""A server that asks for more patience than this (seconds), in one answer or in all, gets an error
instead."""
MOST_BYTES = 64 << 20
"""Bytes of an answer: a list of 200 000 entries has less. More is no answer of these APIs."""
MOST_BYTES_OF_A_REFUSAL = 64 << 10
MOST_REDIRECTS = 5
TOO_MANY_REQUESTS = 429
OF_A_PROXY = frozenset({403, 407, 502, 503, 504, 511})
"""What a proxy may answer in the place of a server, where there is no TLS between them."""


class ApiError(TapError):
    """An API refused or failed.

    Attributes:
        status: HTTP status code; None where no answer arrived.
        executed: Whether the server may have carried the request out all the same.
    """

    def __init__(self, message: str, *, status: int | None = None, executed: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed


class NotJson(ApiError):
    """The API answered a request with success and something that is not read as JSON."""


class NotFound(ApiError):
    """The API answered 404."""


@dataclasses.dataclass(frozen=True)
class ApiContext:
    """What every API client needs beyond its own facts.

    Attributes:
        api_url: The host.
        sign_in: Gives the credentials.
        clock: Tells the time and waits.
        stop: Ends every wait when set.
        observe: Gets method, path and answer of every request that was answered.
        request_seconds: How long a request may take with its whole answer.
        reach: Whether the host can be reached.
        server_time: How the host's clock differs from this machine's.
    """

    api_url: str
    sign_in: SignIn
    clock: Clock
    stop: threading.Event
    observe: Callable[[str, str, requests.Response], None] = lambda *_: None
    request_seconds: float = REQUEST_SECONDS
    reach: CircuitBreaker = dataclasses.field(init=False)
    server_time: ServerTime = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Begin with a host that is there and whose clock is right."""
        object.__setattr__(self, "reach", CircuitBreaker(self.clock))
        object.__setattr__(self, "server_time", ServerTime(self.clock))


class ApiClient:
    """One API: sends requests, answers with parsed JSON (numbers as `int` and exact `Decimal`).

    Args:
        api: Which API, for sign-in.
        title: The API's name as a person knows it.
        path: Path below the host, such as `/insights/v1`.
        causes_of_403: The usual causes of a refusal, most likely first, each a clause.
        limits: The documented request limits (see `RateLimiter`).
        context: Host, sign-in, clock and the event that ends the run.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        api: Api,
        title: str,
        path: str,
        causes_of_403: Sequence[str],
        limits: Sequence[tuple[int, float]],
        context: ApiContext,
    ) -> None:
        self._api = api
        self._title = title
        self._base = context.api_url + path
        self._host = urlsplit(self._base).netloc.rpartition("@")[2] or self._base
        self._causes_of_403 = causes_of_403
        self._context = context
        self._clock = context.clock
        self._breaker = context.reach
        self._limiter = RateLimiter(limits, context.clock)
        self._limited: dict[str, tuple[float, str]] = {}

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        """GET; repeated on connection errors, 429 and 5xx.

        Raises:
            ApiError: The API refused, or failed to the end.
        """
        return self._send("GET", path, params=params, repeatable=True)

    def post(
        self,
        path: str,
        body: Any = None,  # noqa: ANN401
        *,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        patience: float = LONGEST_RETRY_AFTER,
    ) -> Any:  # noqa: ANN401
        """POST JSON.

        Args:
            path: Below the API's own.
            body: What to send.
            headers: Further headers.
            repeatable: Whether it does no harm to send it twice. Else it is sent again only where
                the server surely did not carry it out.
            patience: Seconds in which to wait and try again after a 429. Where that did not help,
                it is not tried again for a while: the other exports would each wait as long.

        Raises:
            ApiError: As `get`; `executed` says that the outcome is unknown.
        """
        limited, message = self._limited.get(path, (float("-inf"), ""))
        if self._clock.monotonic() - limited < GIVEN_UP:
            raise ApiError(message, status=TOO_MANY_REQUESTS)
        try:
            return self._send(
                "POST", path, body=body, headers=headers, repeatable=repeatable, patience=patience
            )
        except ApiError as error:
            if patience and error.status == TOO_MANY_REQUESTS:
                self._limited[path] = (self._clock.monotonic(), str(error))
            raise

    def _send(  # noqa: PLR0913
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        params: Mapping[str, Any] | None = None,
        body: Any = None,  # noqa: ANN401
        headers: Mapping[str, str] | None = None,
        patience: float = LONGEST_RETRY_AFTER,
    ) -> Any:  # noqa: ANN401
        renewed = False
        pause = FIRST_PAUSE
        begun = self._clock.monotonic()
        for attempt in range(1, TRIES + 1):
            self._wait_for_turn()
            credentials = self._credentials()
            given = _sendable(self._title, {**credentials, **(headers or {})})
            try:
                answer = self._exchange(method, path, params=params, json=body, headers=given)
            except requests.RequestException as error:
                why = explain(error, self._host)
                failure = self._unanswered(method, path, why)
                if why.is_lasting or (why.was_sent and not repeatable):
                    raise failure from None
                if attempt == TRIES or (why.is_silence and attempt == SILENT_TRIES):
                    how = f"in {attempt} tries ({why.what})"
                    self._breaker.lose(begun, how)
                    raise self._given_up(how) from None
            else:
                self._breaker.answered()
                self._context.observe(method, path, answer)
                if _is_success(answer):
                    return self._parse(method, path, answer)
                if answer.status_code == requests.codes.unauthorized and not renewed:
                    renewed = True
                    self._context.sign_in.renew(self._api, credentials)
                    continue
                failure = self._refusal(method, path, answer)
                pause = max(pause, self._asked_to_wait(answer))
                is_limit = answer.status_code == TOO_MANY_REQUESTS
                longest = patience if is_limit else LONGEST_RETRY_AFTER
                if (
                    attempt == TRIES
                    or not (is_limit or (repeatable and _is_server_error(answer)))
                    or self._clock.monotonic() - begun + pause > longest
                ):
                    raise failure
            logger.info("%s Trying again in %.0f s.", failure, pause)
            self._pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        msg = f"{self._title}: {method} {path} was refused again after a new sign-in."
        raise ApiError(msg, status=int(requests.codes.unauthorized))

    def _credentials(self) -> dict[str, str]:
        """Return the headers that sign a request in.

        Raises:
            SignInError: There are none; a host that does not answer is not asked by every stream.
        """
        begun = self._clock.monotonic()
        try:
            return self._context.sign_in.headers(self._api)
        except SignInError as error:
            if error.is_unreachable:
                self._breaker.lose(begun, "for a sign-in")
            raise

    def _exchange(self, method: str, path: str, **parts: Any) -> requests.Response:  # noqa: ANN401
        """Send one request and return its answer.

        A redirect is followed by a GET alone, and not to another host, scheme or port: the
        credentials are for this one. What is not followed is the answer.
        """
        if any(unquote(part) in {".", ".."} for part in path.split("/")):
            msg = f"{self._title}: {method} {path} names nothing: an ID in it is none."
            raise NotFound(msg, status=int(requests.codes.not_found))
        request = prepare(method, self._base + path, **parts)
        origin = _origin(request.url)
        for _ in range(MOST_REDIRECTS):
            answer = self._fetch(request)
            if method != "GET" or not answer.is_redirect:
                break
            target = _target(str(request.url), answer.headers["Location"], parts["headers"])
            if target is None or _origin(target.url) != origin:
                break
            request = target
        return answer

    def _fetch(self, request: requests.PreparedRequest) -> requests.Response:
        connect, silence = TIMEOUT
        seconds = self._context.request_seconds
        with exchange(
            request,
            seconds=seconds,
            connect=min(connect, seconds),
            silence=min(silence, seconds),
        ) as sent:
            self._context.server_time.note(sent.answer.headers.get("Date"))
            if _is_success(sent.answer):
                return sent.read(MOST_BYTES)
            return sent.read(MOST_BYTES_OF_A_REFUSAL, cut=True)

    def _wait_for_turn(self) -> None:
        if how := self._breaker.lost():
            raise self._given_up(how)
        self._limiter.take(self._context.stop)

    def _pause(self, seconds: float) -> None:
        pause(self._clock, seconds, self._context.stop, jitter=0.25)

    def _asked_to_wait(self, answer: requests.Response) -> float:
        seconds = retry_after(answer, self._clock.now())
        if seconds is not None:
            return seconds
        return FIRST_PAUSE_AFTER_429 if answer.status_code == TOO_MANY_REQUESTS else 0.0

    def _parse(self, method: str, path: str, answer: requests.Response) -> Any:  # noqa: ANN401
        if not answer.content and method != "GET":
            return None
        try:
            return read_json(answer.content, parse_float=Decimal)
        except ValueError as error:
            kind = answer.headers.get("Content-Type", "no content type")
            msg = f"{self._title}: {method} {path} answered {answer.status_code} with "
            if isinstance(error, (TooDeep, TooMuch)):
                msg += f"JSON that is not read, because {error}."
            else:
                msg += f"something that is not JSON ({kind}). Is `api_url` right, or does a proxy "
                msg += "answer in its place?"
            raise NotJson(msg, status=answer.status_code, executed=True) from None

    def _unanswered(self, method: str, path: str, why: Failure) -> ApiError:
        if why.is_lasting:  # the same for every request, so that it is reported once
            return ApiError(f"{self._title}: {why.what}. {why.advice}", executed=why.was_sent)
        return ApiError(
            f"{self._title}: {method} {path} failed: {why.what}. {why.advice}",
            executed=why.was_sent,
        )

    def _given_up(self, how: str) -> ApiError:
        """Return an error that is the same for all requests, so that it is reported once."""
        return ApiError(
            f"{self._title}: {self._host} cannot be reached, also {how}. Check the network, the "
            "proxy and `api_url`. What is pending stays so: run again."
        )

    def _refusal(self, method: str, path: str, answer: requests.Response) -> ApiError:
        status = answer.status_code
        what_to_do = advice(answer, self._causes_of_403, self._clock.now())
        if status in OF_A_PROXY and passes_a_proxy(answer.url):
            what_to_do += " Or is it the proxy in the environment variable HTTP_PROXY that refuses?"
        kind = NotFound if status == requests.codes.not_found else ApiError
        return kind(
            f"{self._title}: {method} {path} answered {status}{said(answer)}. {what_to_do}",
            status=status,
            executed=status >= requests.codes.server_error,
        )


def _is_success(answer: requests.Response) -> bool:
    status: int = answer.status_code
    return 200 <= status < 300  # noqa: PLR2004 - the kind of status that success is


def _target(url: str, location: str, headers: Mapping[str, str]) -> requests.PreparedRequest | None:
    """Return a request for where a redirect leads; None where that is not clear.

    Some programs take a backslash for a slash, so that it may lead to another host.
    """
    if "\\" in location:
        return None
    try:
        return prepare("GET", urljoin(url, location), headers=headers)
    except (ValueError, requests.RequestException):
        return None


def _origin(url: str | None) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url or "")
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _sendable(title: str, headers: dict[str, str]) -> dict[str, str]:
    """Return headers that can be sent.

    Raises:
        ApiError: One holds a line break, or a character that no header can have.
    """
    for name, value in headers.items():
        is_sendable = value.isascii() and value.isprintable() and value == value.strip()
        if not is_sendable or len(value) > LONGEST_HEADER:
            msg = (
                f"{title}: the credentials for '{name}' cannot be sent: they hold a line break, a "
                "blank at an end or another character that no header can have, or are too long. "
                "Check the tokens in the settings, such as 'access_token'; a file or a variable "
                "that one was copied from may end with a line break."
            )
            raise ApiError(msg)
    return headers


def _is_server_error(answer: requests.Response) -> bool:
    status: int = answer.status_code
    return status >= int(requests.codes.server_error)
