"""HTTP of the APIs: patience where it helps, an end where it does not, a budget for all threads."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING

import pytest
import requests

from support.made_up_service import FastClock
from tap_autodesk_exports.autodesk import http
from tap_autodesk_exports.autodesk.http import ApiContext, ApiError, RateLimiter
from tap_autodesk_exports.autodesk.insights.client import Insights
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import Stopped
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.signin import SignIn

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
