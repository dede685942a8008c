"""HTTP as all three APIs speak it: sign-in, rate limits, retries, and errors as sentences.

Facts used here: a 401 means that the token is invalid or expired (documented); a gateway's 403 is
plain text (documented); a 429 carries `Retry-After` in seconds (documented for the platform, not
for Data Connector's job quota).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import email.utils
import json
import logging
import random
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import requests

from tap_autodesk_exports.autodesk.limits import GIVEN_UP, CircuitBreaker, RateLimiter
from tap_autodesk_exports.errors import Stopped, TapError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_autodesk_exports.apis import Api
    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.signin import SignIn

logger = logging.getLogger("tap-autodesk-exports")
# At DEBUG this library writes the query strings of signed links.
logging.getLogger("urllib3").setLevel(logging.INFO)

TIMEOUT = (15, 120)
"""Seconds to connect, and to wait for the next bytes."""
TRIES = 6
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
FIRST_PAUSE_AFTER_429 = 10.0
"""Where the server does not say how long: all documented limits of requests are by the minute."""
LONGEST_RETRY_AFTER = 900.0
"""A server that asks for more patience than this (seconds) gets an error instead."""
TOO_MANY_REQUESTS = 429


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
        breaker: Whether the host can be reached.
    """

    api_url: str
    sign_in: SignIn
    clock: Clock
    stop: threading.Event
    observe: Callable[[str, str, requests.Response], None] = lambda *_: None
    reach: CircuitBreaker = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Begin with a host that is there."""
        object.__setattr__(self, "reach", CircuitBreaker(self.clock))


class ApiClient:
    """One API: sends requests, answers with parsed JSON (numbers as `int` and exact `Decimal`).

    Args:
        api: Which API, for sign-in.
        title: The API's name as a person knows it.
        path: Path below the host, such as `/insights/v1`.
        causes_of_403: The usual causes of a refusal, most likely first, each a clause.
        limits: The documented request limits (see `RateLimiter`).
        surroundings: Host, sign-in, clock and the event that ends the run.
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
        self._causes_of_403 = causes_of_403
        self._sign_in = context.sign_in
        self._clock = context.clock
        self._stop = context.stop
        self._observe = context.observe
        self._breaker = context.reach
        self._limiter = RateLimiter(limits, context.clock)
        self._sessions = threading.local()
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
        patient: bool = True,
    ) -> Any:  # noqa: ANN401
        """POST JSON.

        Args:
            path: Below the API's own.
            body: What to send.
            headers: Further headers.
            repeatable: Whether it does no harm to send it twice. Else it is sent again only where
                the server surely did not carry it out.
            patient: Whether to wait and try again after a 429. Where that did not help, it is not
                tried again for a while: the other exports would each wait as long.

        Raises:
            ApiError: As `get`; `executed` says that the outcome is unknown.
        """
        limited, message = self._limited.get(path, (float("-inf"), ""))
        if self._clock.monotonic() - limited < GIVEN_UP:
            raise ApiError(message, status=TOO_MANY_REQUESTS)
        try:
            return self._send(
                "POST", path, body=body, headers=headers, repeatable=repeatable, patient=patient
            )
        except ApiError as error:
            if patient and error.status == TOO_MANY_REQUESTS:
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
        patient: bool = True,
    ) -> Any:  # noqa: ANN401
        renewed = False
        pause = FIRST_PAUSE
        begun = self._clock.monotonic()
        for attempt in range(1, TRIES + 1):
            self._wait_for_turn()
            credentials = self._sign_in.headers(self._api)
            try:
                answer = self._session().request(
                    method,
                    self._base + path,
                    params=params,
                    json=body,
                    headers={**credentials, **(headers or {})},
                    timeout=TIMEOUT,
                )
            except requests.RequestException as error:
                failure = self._unreachable(method, path, error)
                if failure.executed and not repeatable:
                    raise failure from None
                if attempt == TRIES:
                    self._breaker.lose(begun, type(error).__name__)
                    raise self._given_up(type(error).__name__) from None
            else:
                self._breaker.answered()
                self._observe(method, path, answer)
                if answer.ok:
                    return self._parse(method, path, answer)
                if answer.status_code == requests.codes.unauthorized and not renewed:
                    renewed = True
                    self._sign_in.renew(self._api, credentials)
                    continue
                failure = self._refusal(method, path, answer)
                if attempt == TRIES or not _worth_repeating(
                    answer, repeatable=repeatable, patient=patient
                ):
                    raise failure
                pause = max(pause, self._asked_to_wait(answer))
                if pause > LONGEST_RETRY_AFTER:
                    raise failure
            logger.info("%s Trying again in %.0f s.", failure, pause)
            self._pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        msg = f"{self._title}: {method} {path} was refused again after a new sign-in."
        raise ApiError(msg, status=int(requests.codes.unauthorized))

    def _wait_for_turn(self) -> None:
        if how := self._breaker.lost():
            raise self._given_up(how)
        self._limiter.take(self._stop)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = requests.Session()
            session.trust_env = True
            session.auth = _leave_headers  # a .netrc must not replace the bearer token
        return session

    def _pause(self, seconds: float) -> None:
        if self._clock.wait(seconds * random.uniform(1.0, 1.25), self._stop):  # noqa: S311
            raise Stopped

    def _asked_to_wait(self, answer: requests.Response) -> float:
        seconds = retry_after(answer, self._clock.now())
        if seconds is not None:
            return seconds
        limited = answer.status_code == requests.codes.too_many_requests
        return FIRST_PAUSE_AFTER_429 if limited else 0.0

    def _parse(self, method: str, path: str, answer: requests.Response) -> Any:  # noqa: ANN401
        if not answer.content:
            return None
        try:
            return json.loads(answer.content, parse_float=Decimal)
        except ValueError:
            kind = answer.headers.get("Content-Type", "no content type")
            msg = (
                f"{self._title}: {method} {path} answered {answer.status_code} with something that "
                f"is not JSON ({kind}). Is `api_url` right, or does a proxy answer in its place?"
            )
            raise ApiError(msg, status=answer.status_code, executed=True) from None

    def _unreachable(self, method: str, path: str, error: requests.RequestException) -> ApiError:
        refused = isinstance(error, requests.ConnectTimeout) or "NewConnectionError" in repr(error)
        host = self._base.split("/")[2]
        what = "did not answer in time" if isinstance(error, requests.Timeout) else "cannot be read"
        return ApiError(
            f"{self._title}: {method} {path} failed: {host} "
            f"{'cannot be reached' if refused else what} ({type(error).__name__}). "
            "Check the network, the proxy and `api_url`.",
            executed=not refused,
        )

    def _given_up(self, how: str) -> ApiError:
        """Return an error that is the same for all requests, so that it is told once."""
        host = self._base.split("/")[2]
        return ApiError(
            f"{self._title}: {host} cannot be reached, also in {TRIES} tries ({how}). Check the "
            "network, the proxy and `api_url`. What is pending stays so: run again."
        )

    def _refusal(self, method: str, path: str, answer: requests.Response) -> ApiError:
        status = answer.status_code
        said = _said(answer)
        advice = self._advice(answer)
        kind = NotFound if status == requests.codes.not_found else ApiError
        return kind(
            f"{self._title}: {method} {path} answered {status}{said}. {advice}",
            status=status,
            executed=status >= requests.codes.server_error,
        )

    def _advice(self, answer: requests.Response) -> str:
        status = answer.status_code
        match status:
            case requests.codes.unauthorized:
                return (
                    "The access token is invalid or expired, also after a new sign-in: check "
                    "the credentials in the settings."
                )
            case requests.codes.forbidden:
                causes = "; ".join(
                    f"({number}) {cause}" for number, cause in enumerate(self._causes_of_403, 1)
                )
                return f"Usual causes: {causes}."
            case requests.codes.too_many_requests:
                return f"The request limit is used up: run again {self._free_again(answer)}."
            case requests.codes.not_found:
                return "There is no such thing for this user: check the IDs in the settings."
            case _ if status >= requests.codes.server_error:
                return "The fault is on Autodesk's side: run again later."
            case _:
                return "The request was not accepted: check the settings that it is made of."

    def _free_again(self, answer: requests.Response) -> str:
        now = self._clock.now()
        seconds = retry_after(answer, now)
        if seconds is None:
            return "later"  # the server does not say
        return f"after {now + dt.timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S} UTC"


def _leave_headers(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


def _worth_repeating(answer: requests.Response, *, repeatable: bool, patient: bool) -> bool:
    if answer.status_code == requests.codes.too_many_requests:
        return patient
    return repeatable and answer.status_code >= requests.codes.server_error


def retry_after(answer: requests.Response, now: dt.datetime) -> float | None:
    """Return the seconds that the server asks to wait, from either form of `Retry-After`."""
    value = answer.headers.get("Retry-After")
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max((at.astimezone(dt.UTC) - now).total_seconds(), 0.0)


def _said(answer: requests.Response) -> str:
    """Return the server's own words, from any of the documented shapes of an error body."""
    try:
        body = answer.json()
    except ValueError:
        text = answer.text.strip()
        words = "" if text.startswith("<") else text
    else:
        keys = ("developerMessage", "Message", "detail", "message", "title", "userMessage", "error")
        found = body if isinstance(body, dict) else {}
        words = next((str(found[key]) for key in keys if found.get(key)), "")
    return f" ({' '.join(words.split())[:300].rstrip('.')})" if words else ""
