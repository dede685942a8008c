"""A resolver that does not answer costs no more than the time of a connection."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import requests

from support.hostile import Hostile, answer
from tap_autodesk_exports.transport import names
from tap_autodesk_exports.transport.exchange import TookTooLong, fetch, prepare
from tap_autodesk_exports.transport.failures import explain


@pytest.fixture
def silent_resolver(monkeypatch: pytest.MonkeyPatch):
    """A resolver that answers nothing as long as the test lasts."""
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: ended.wait(60))
    yield
    ended.set()


@pytest.mark.usefixtures("silent_resolver")
def test_a_resolver_that_says_nothing_is_given_up():
    with pytest.raises(socket.gaierror):
        names.resolve("a.test", 443, 0.05)
    names.resolve("127.0.0.1", 443, 0.05)  # an address needs none
    names.resolve("[::1]", 443, 0.05)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.usefixtures("silent_resolver")
def test_an_exchange_ends_while_the_resolver_says_nothing(scheme: str):
    begun = time.monotonic()
    with pytest.raises(requests.RequestException) as caught:
        fetch(prepare("GET", f"{scheme}://a.test/"), most=100, seconds=0.2)
    assert time.monotonic() - begun < 10
    assert isinstance(caught.value, TookTooLong) or "a.test" in explain(caught.value, "a.test").what


def test_a_name_that_is_known_is_used():
    with Hostile() as server:
        server.on("GET /*", answer(200, b"[]"))
        url = server.url.replace("127.0.0.1", "localhost")
        assert fetch(prepare("GET", f"{url}/x"), most=100, seconds=20).content == b"[]"


def test_a_name_that_is_not_known_is_still_that():
    with pytest.raises(requests.ConnectionError) as caught:
        fetch(prepare("GET", "http://no-such-host.invalid/"), most=100, seconds=20)
    assert "no-such-host.invalid" in explain(caught.value, "no-such-host.invalid").what
