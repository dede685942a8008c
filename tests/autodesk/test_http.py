"""HTTP of the APIs: patience where it helps, an end where it does not, a budget for all threads."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import requests

from support.certificates import self_signed
from support.made_up_service import FastClock
from support.raw_server import RawServer, answer, head
from tap_autodesk_exports.autodesk import http
from tap_autodesk_exports.autodesk.answers import Answer, UnexpectedAnswer
from tap_autodesk_exports.autodesk.http import ApiContext, ApiError, RateLimiter
from tap_autodesk_exports.autodesk.insights.client import Insights
from tap_autodesk_exports.autodesk.tokenflex.client import TokenFlex
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import Stopped
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.signin import SignIn
from tap_autodesk_exports.signin.errors import SignInError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture
def insights(server, clock) -> Insights:
    settings = Settings.from_config(server.settings())
    sign_in = SignIn.from_settings(settings, Clock())
    return Insights(ApiContext(server.url, sign_in, clock, threading.Event()))


def refuse(server: Sandbox, status: int, times: int | None = 1, **headers: str) -> None:
    server.faults.add("status", endpoint="contexts", status=status, times=times, headers=headers)


def test_a_limit_is_waited_for_as_long_as_the_server_says(server, clock, insights):
    refuse(server, 429, **{"Retry-After": "37"})
    assert insights.contexts()
    (pause,) = clock.waits
    assert 37 <= pause <= 37 * 1.25


def test_a_limit_by_the_minute_is_waited_for_when_the_server_does_not_say(server, clock, insights):
    refuse(server, 429, times=3)
    assert insights.contexts()
    assert sum(clock.waits) > 60


def test_a_server_that_fails_is_asked_ever_more_rarely(server, clock, insights):
    refuse(server, 503, times=None)
    with pytest.raises(ApiError, match="answered 503") as caught:
        insights.contexts()
    assert caught.value.status == 503
    assert len(clock.waits) == http.TRIES - 1
    assert all(after > before for before, after in zip(clock.waits, clock.waits[1:], strict=False))


def test_a_server_that_asks_for_hours_is_not_waited_for(server, clock, insights):
    refuse(server, 429, **{"Retry-After": "7200"})
    with pytest.raises(ApiError, match="answered 429"):
        insights.contexts()
    assert clock.waits == []


def test_a_refusal_is_told_at_once(server, clock, insights):
    refuse(server, 403, times=None)
    with pytest.raises(ApiError, match="Usual causes"):
        insights.contexts()
    assert clock.waits == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Thu, 01 Jan 2025 00:00:00 GMT", 0.0),
        ("soon", None),
        (None, None),
    ],
)
def test_both_forms_of_retry_after_are_read(value, seconds):
    answer = requests.Response()
    if value is not None:
        answer.headers["Retry-After"] = value
    assert http.retry_after(answer, NOW) == seconds


def test_a_budget_lets_no_more_through_than_it_holds(clock):
    budget = RateLimiter(((5, 60.0), (12, 3600.0)), clock)
    times = []
    for _ in range(15):
        budget.take(threading.Event())
        times.append(clock.seconds)
    for number, seconds in ((5, 60.0), (12, 3600.0)):
        for first, after in zip(times, times[number:], strict=False):
            assert after - first >= seconds
    assert times[:5] == [0.0] * 5
    assert times[5] == 60.0


def test_a_budget_is_shared_by_all_threads():
    clock = Clock()
    budget = RateLimiter(((3, 0.4),), clock)
    times: list[float] = []

    def take() -> None:
        for _ in range(3):
            budget.take(threading.Event())
            times.append(clock.monotonic())

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    for first, after in zip(times, times[3:], strict=False):
        assert after - first >= 0.3


def test_a_wait_for_the_budget_ends_with_the_run(clock):
    budget, stop = RateLimiter(((1, 60.0),), clock), threading.Event()
    budget.take(stop)
    stop.set()
    with pytest.raises(Stopped):
        budget.take(stop)


def test_a_host_that_is_gone_is_tried_by_one_request_and_not_by_all(server, clock, insights):
    server.stop()
    with pytest.raises(ApiError, match="cannot be reached, also in 6 tries") as first:
        insights.contexts()
    waited = sum(clock.waits)
    assert 31 <= waited <= 31 * 1.25
    with pytest.raises(ApiError) as second:
        insights.exports()
    assert str(second.value) == str(first.value)
    assert sum(clock.waits) == waited
    later = http.GIVEN_UP + 1  # not to the second, which the sum of floats may miss by a hair
    clock.wait(later, threading.Event())
    with pytest.raises(ApiError):
        insights.exports()
    assert sum(clock.waits) >= waited + later + 31


def test_one_endpoint_that_always_breaks_does_not_stop_the_others(server, insights):
    server.faults.add("reset", endpoint="contexts", times=None)

    def fail() -> None:
        with pytest.raises(ApiError):
            insights.contexts()

    failing = threading.Thread(target=fail)
    failing.start()
    while failing.is_alive():
        assert insights.exports() == []
    failing.join()
    assert insights.exports() == []


def test_a_limit_that_frees_up_late_is_told_at_once_with_the_time(server, clock, insights):
    refuse(server, 429, **{"Retry-After": "7200"})
    free = clock.now() + dt.timedelta(hours=2)
    with pytest.raises(ApiError, match=f"run again after {free:%Y-%m-%d %H:%M:%S} UTC"):
        insights.contexts()
    assert clock.waits == []


def test_a_used_up_limit_is_waited_for_by_one_export_and_not_by_all(server, clock, insights):
    server.faults.add("quota", endpoint="submit", times=None)
    with pytest.raises(ApiError, match="limit is used up: run again later") as first:
        insights.create_export({"outputFormat": "CSV", "reports": ["USERS"]})
    waited = sum(clock.waits)
    assert waited > 60
    with pytest.raises(ApiError) as second:
        insights.create_export({"outputFormat": "CSV", "reports": ["USAGE"]})
    assert str(second.value) == str(first.value)
    assert sum(clock.waits) == waited
    server.faults.clear()
    clock.wait(http.GIVEN_UP + 1, threading.Event())
    assert insights.create_export({"outputFormat": "CSV", "reports": ["USERS"]}).export_id


# Credentials stay with their host


ELSEWHERE = {
    "another port": "http://{stranger}/x",
    "another name": "http://localhost:{port}/x",
    "another scheme": "https://{here}/x",
    "no scheme": "//{stranger}/x",
    "our host as the user": "http://{here}@{stranger}/x",
    "backslashes": "http:\\\\{stranger}\\x",
    "a slash and a backslash": "/\\{stranger}/x",
    "a scheme in capitals": "HTTP://{stranger}/x",
    "a tab in the scheme": "ht\ttp://{stranger}/x",
    "a blank in front": " http://{stranger}/x",
    "no address": "http://[::1/x",
    "another protocol": "ftp://{stranger}/x",
}


class Fixed:
    """Credentials that a test recognises."""

    secret = "Bearer the-token"

    def headers(self, _):
        return {"Authorization": self.secret, "ADSK-PAT": "the-pat"}

    def renew(self, *_):
        pass


def client(url, clock, sign_in=None, **context):
    return Insights(ApiContext(url, sign_in or Fixed(), clock, threading.Event(), **context))


@pytest.mark.parametrize("kind", [Insights, TokenFlex])
def test_an_answer_about_another_export_is_not_used(clock, kind):
    status = {"status": "COMPLETED", "requestStatus": "Done", "downloads": []}
    body = {"id": "another", "requestKey": "another", "fileName": "x.csv", **status}
    with RawServer(lambda _: [answer(json.dumps(body).encode())]) as server:
        api = kind(ApiContext(server.url, Fixed(), clock, threading.Event()))
        with pytest.raises(UnexpectedAnswer, match="one with another one"):
            api.export("one") if kind is Insights else api.request("110000", "one")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ELSEWHERE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_redirected_to_another_origin(clock, status, where, method):
    with RawServer(lambda _: [answer(b"[]")]) as stranger:

        def redirect(_):
            target = ELSEWHERE[where].format(
                stranger=f"127.0.0.1:{stranger.port}",
                here=f"127.0.0.1:{here.port}",
                port=here.port,
            )
            return [answer(status=f"{status} Moved", Location=target)]

        with RawServer(redirect) as here:
            insights = client(here.url, clock)
            calls = {"GET": insights.contexts, "POST": lambda: insights.create_export({})}
            with pytest.raises(ApiError, match=f"answered {status}.*redirect") as caught:
                calls[method]()
            assert not caught.value.executed
            assert len(here.requests) == 1
    assert stranger.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_is_redirected_on_its_own_host_and_a_post_never(clock, status):
    moved = answer(status=f"{status} Moved", Location="/insights/v1/moved?a=b")
    with RawServer(lambda r: [answer(b"[]") if "moved" in r.path else moved]) as server:
        assert client(server.url, clock).contexts() == []
        assert [request.path for request in server.requests][-1] == "/insights/v1/moved"
        assert server.requests[-1].headers["authorization"] == Fixed.secret
        with pytest.raises(ApiError, match="redirect"):
            client(server.url, clock).create_export({})
    assert [request.method for request in server.requests] == ["GET", "GET", "POST"]


def test_redirects_without_end_end(clock):
    moved = answer(status="302 Found", Location="/again")
    with RawServer(lambda _: [moved]) as server:
        with pytest.raises(ApiError, match="answered 302"):
            client(server.url, clock).contexts()
        assert len(server.requests) == http.MOST_REDIRECTS


# Answers have an end


def test_an_error_body_is_read_to_its_limit(clock):
    def flood(_):
        yield head("403 Forbidden", Content_Type="text/plain")
        while True:
            sent.append(65536)
            yield b"too bad " * 8192

    sent = []
    with RawServer(flood) as server, pytest.raises(ApiError, match=r"answered 403 \(too bad"):
        client(server.url, clock).contexts()
    assert sum(sent) < 20 << 20  # what is on its way when the reader leaves


def test_an_answer_is_read_to_its_limit(clock, monkeypatch):
    monkeypatch.setattr(http, "MOST_BYTES", 1 << 20)

    def flood(_):
        yield head(Content_Type="application/json")
        yield b"["
        while True:
            yield b" " * 65536

    with RawServer(flood) as server:
        with pytest.raises(ApiError, match="answered with more than 1 MB") as caught:
            client(server.url, clock).create_export({})
        assert caught.value.executed
        assert len(server.requests) == 1  # another try would be the same


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"1" * 5000, b"<html>", b"[1,]"],
    ids=["nothing", "a part", "a deep one", "no text", "a long number", "a page", "a comma"],
)
def test_what_is_no_json_is_a_sentence(clock, body):
    with (
        RawServer(lambda _: [answer(body)]) as server,
        pytest.raises(ApiError, match=r"no.* JSON|JSON that is not read"),
    ):
        client(server.url, clock).contexts()


@pytest.mark.parametrize(
    "wire",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n", b"HTTP/1.1 200 OK\r\nno header\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[]x",
     b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n[]",
     b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n[]"],
)  # fmt: skip
def test_what_is_no_http_is_a_sentence(clock, wire):
    with RawServer(lambda _: [wire]) as server, contextlib.suppress(ApiError):
        client(server.url, clock).contexts()


def test_a_silent_server_is_tried_a_few_times_and_costs_its_time_once(clock):
    hold = threading.Event()
    with RawServer(lambda _: iter(lambda: hold.wait(30) and b"", None)) as server:
        insights = client(server.url, clock, request_seconds=0.2)
        with pytest.raises(ApiError, match="did not answer in time"):
            insights.contexts()
        for _ in range(5):
            with pytest.raises(ApiError, match="cannot be reached, also in 3 tries"):
                insights.exports()
        assert len(server.requests) == http.SILENT_TRIES
        hold.set()


def test_a_host_that_does_not_sign_in_is_asked_once(clock):
    class Dead(Fixed):
        tried = 0

        def headers(self, _):
            self.tried += 1
            raise SignInError("Sign-in failed: the host is silent.", is_unreachable=True)

    dead = Dead()
    insights = client("http://127.0.0.1:1", clock, dead)
    with pytest.raises(SignInError, match="is silent"):
        insights.contexts()
    for _ in range(5):
        with pytest.raises(ApiError, match="cannot be reached"):
            insights.contexts()
    assert dead.tried == 1


# Sentences


@pytest.mark.parametrize(
    "value",
    ["9" * 30, "9" * 400, "99999999999", "1e9", "-5", "²", "nan", "inf", "Fri, 99 Jan 2100",
     "Fri, 01 Jan 99999 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", ", , ,", "\x00", "0x10"],
)  # fmt: skip
def test_an_absurd_retry_after_is_a_sentence(clock, value):
    refusal = answer(status="429 Too Many Requests", Retry_After=value)
    used_up = pytest.raises(ApiError, match="request limit is used up: run again")
    with RawServer(lambda _: [refusal]) as server, used_up:
        client(server.url, clock).contexts()
    assert sum(clock.waits) <= http.LONGEST_RETRY_AFTER * 1.25


def test_a_server_that_asks_again_and_again_is_not_waited_for_longer_in_all(clock):
    refusal = answer(status="429 Too Many Requests", Retry_After="800")
    with RawServer(lambda _: [refusal]) as server, pytest.raises(ApiError, match="answered 429"):
        client(server.url, clock).contexts()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "token", ["a\nb", "a\r\nX: y", " a", "a ", "a\tb", "tök€n", "a\x7fb", "a\x00b", "a" * 20_000]
)
def test_a_token_that_no_header_can_hold_is_named_and_not_shown(clock, token):
    sign_in = Fixed()
    sign_in.secret = token
    named = pytest.raises(ApiError, match="'access_token'")
    with RawServer(lambda _: [answer(b"[]")]) as server, named as caught:
        client(server.url, clock, sign_in).contexts()
    assert len(token) < 3 or token not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(
    "answered", [b"{}", b'{"id": null}', b'{"id": ""}', b'{"id": []}', b"[]", b"null", b'"x"']
)
def test_an_export_without_an_id_may_have_been_made(clock, answered):
    unlike = pytest.raises(ApiError, match="Insights answered")
    with RawServer(lambda _: [answer(answered)]) as server, unlike as caught:
        client(server.url, clock).create_export({})
    assert caught.value.executed


def test_a_proxy_that_refuses_in_the_server_s_place_is_named(clock, monkeypatch):
    with RawServer(lambda _: [answer(status="407 Proxy Authentication Required")]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with pytest.raises(ApiError, match=r"asks for credentials.*HTTP_PROXY"):
            client("http://api.invalid", clock).contexts()


def test_an_untrusted_certificate_is_reported_once_and_at_once(clock, tmp_path):
    _, context = self_signed(tmp_path)
    with RawServer(lambda _: [answer(b"[]")], tls=context) as server:
        insights = client(server.url, clock)
        sentences = set()
        for call in (insights.contexts, insights.exports):
            with pytest.raises(ApiError, match="REQUESTS_CA_BUNDLE") as caught:
                call()
            sentences.add(str(caught.value))
    assert len(sentences) == 1
    assert clock.waits == []


@pytest.mark.parametrize("part", ["..", ".", "%2e%2e", "../..", "a/../.."])
def test_no_id_leads_to_another_address(clock, part):
    with RawServer(lambda _: [answer(b"[]")]) as server:
        insights = client(server.url, clock)
        with pytest.raises(http.NotFound, match="an ID in it is none"):
            insights.http.get(f"/exports/{part}")
    assert server.requests == []


# The server's time


def test_the_server_s_clock_is_known_by_its_answers(clock):
    dated = answer(b"[]", Date="Thu, 01 Jan 2026 02:00:00 GMT")
    with RawServer(lambda _: [dated]) as server:
        insights = client(server.url, clock)
        assert insights.server_time.ahead == dt.timedelta(0)
        insights.contexts()
        assert insights.server_time.ahead == dt.timedelta(hours=2)


def test_an_id_or_a_link_that_is_far_too_long_is_a_short_sentence():
    given = Answer.of("Insights", "export", {"id": "x" * 2_000_000, "status": "y" * 2_000_000})
    for name in ("id", "status"):
        with pytest.raises(UnexpectedAnswer, match="has 2000000 characters") as raised:
            given.text(name)
        assert len(str(raised.value)) < 300


@pytest.mark.parametrize(("number", "text"), [("12", "12"), ("12.0", "12"), ("1.2e3", "1200")])
def test_a_whole_number_is_the_same_however_json_writes_it(number, text):
    given = Answer.of("Insights", "team", read_json(f'{{"id": {number}}}', parse_float=Decimal))
    assert given.text("id") == text


@pytest.mark.parametrize("number", ["12.5", "1e999999", "-0.1"])
def test_a_number_that_is_no_whole_one_is_no_id(number):
    given = Answer.of("Insights", "team", read_json(f'{{"id": {number}}}', parse_float=Decimal))
    with pytest.raises(UnexpectedAnswer, match="'id' is a number"):
        given.text("id")
