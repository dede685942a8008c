"""An exchange ends, in time and in size, whatever the server does; nothing is remembered."""

from __future__ import annotations

import gzip
import itertools
import re
import socket
import threading
import time

import pytest
import requests

from support.certificates import self_signed
from support.processes import ROOT
from support.raw_server import RawServer, answer, head
from tap_autodesk_exports import threads
from tap_autodesk_exports.transport.exchange import TookTooLong, TooLarge, fetch, prepare
from tap_autodesk_exports.transport.failures import explain

PACKAGE = ROOT / "tap_autodesk_exports"
SECONDS = 0.3
"""What an exchange of these tests may take."""
PAUSE = 0.02
SPARE = 5.0
"""Seconds that a busy machine may add."""
STATUS = b"HTTP/1.1 200 OK\r\n"
CHUNKED = STATUS + b"Transfer-Encoding: chunked\r\n\r\n"

DRIPS = {
    "nothing": lambda: itertools.repeat(b""),
    "its status line": lambda: itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"O")),
    "headers": lambda: itertools.chain([STATUS], (b"X: %d\r\n" % n for n in itertools.count())),
    "one header": lambda: itertools.chain([STATUS, b"X: "], itertools.repeat(b"y")),
    "100 Continue": lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": lambda: itertools.chain([head(Content_Length=10**9)], itertools.repeat(b" ")),
    "a body without a length": lambda: itertools.chain([head()], itertools.repeat(b" ")),
    "chunks": lambda: itertools.chain([CHUNKED], itertools.repeat(b"1\r\n \r\n")),
    "the size of a chunk": lambda: itertools.chain([CHUNKED], itertools.repeat(b"0")),
    "trailers": lambda: itertools.chain(
        [CHUNKED, b"2\r\n[]\r\n0\r\n"], (b"X-%d: y\r\n" % n for n in itertools.count())
    ),
}


def get(server, **limits):
    return fetch(prepare("GET", f"{server.url}/x"), **{"most": 1000, "seconds": 30.0, **limits})


@pytest.mark.parametrize("what", DRIPS)
def test_it_ends_in_time_whatever_the_server_drips(what):
    with RawServer(lambda _: server.drip(DRIPS[what](), PAUSE)) as server:
        begun = time.monotonic()
        with pytest.raises(TookTooLong) as caught:
            get(server, seconds=SECONDS)
        assert time.monotonic() - begun < SECONDS + SPARE
    assert explain(caught.value, "the host").is_silence


def test_a_handshake_that_never_ends_has_an_end():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(requests.RequestException) as caught:
            fetch(prepare("GET", url), most=1000, seconds=30.0, connect=SECONDS)
    failure = explain(caught.value, "the host")
    assert failure.what == "no TLS connection to the host could be made in time"
    assert not failure.was_sent


@pytest.mark.parametrize("size", [1001, 10**7])
@pytest.mark.parametrize("packed", [False, True])
def test_a_body_is_read_as_far_as_it_is_wanted(size, packed):
    body = gzip.compress(b"a" * size) if packed else b"a" * size
    encoding = {"Content_Encoding": "gzip"} if packed else {}
    with RawServer(lambda _: [answer(body, **encoding)]) as server:
        with pytest.raises(TooLarge):
            get(server)
        assert get(server, most=size).content == b"a" * size


def test_a_body_without_an_end_is_left():
    sent = itertools.count()

    def flood(_):
        yield head()
        for _ in sent:
            yield b"a" * 65536

    with RawServer(flood) as server, pytest.raises(TooLarge):
        get(server, most=1 << 20)
    assert next(sent) < 200


@pytest.mark.parametrize(
    "cut",
    [
        answer(b"whole", Content_Length=9),
        CHUNKED + b"5\r\nwhole\r\n",
        CHUNKED + b"9\r\nwhole",
    ],
    ids=["by its length", "before the last chunk", "in a chunk"],
)
def test_a_body_that_is_cut_is_an_error(cut):
    with RawServer(lambda _: [cut]) as server, pytest.raises(requests.RequestException):
        get(server)


def test_cookies_and_netrc_are_not_used_and_redirects_not_followed(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password hidden", "utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    replies = [answer(status="302 Found", Location="/other", Set_Cookie="a=b; Path=/"), answer()]
    with RawServer(lambda _: [replies[len(server.requests) > 1]]) as server:
        assert get(server).status_code == 302
        get(server)
        url = server.url.replace("//", "//user:password@")
        fetch(prepare("GET", url), most=10, seconds=30.0)
    assert [request.target for request in server.requests] == ["/x", "/x", "/"]
    for request in server.requests:
        assert not {"cookie", "authorization"} & request.headers.keys()


def test_a_thread_that_cannot_be_started_is_an_error(monkeypatch):
    def none(_):
        raise RuntimeError("can't start new thread")

    with RawServer(lambda _: [answer()]) as server:
        monkeypatch.setattr(threading.Thread, "start", none)
        with pytest.raises(threads.NoThread, match="starts no further thread"):
            get(server)


# Why there is no answer


def failure_of(url):
    with pytest.raises(requests.RequestException) as caught:
        fetch(prepare("GET", url), most=1000, seconds=5.0)
    return explain(caught.value, "the host")


def test_a_host_that_takes_no_connection_was_sent_nothing():
    with RawServer(lambda _: []) as server:
        pass
    failure = failure_of(server.url)
    assert failure.what == "the host cannot be reached"
    assert not failure.was_sent


def test_an_answer_that_breaks_off_may_have_been_executed():
    with RawServer(lambda _: [b"HTTP/1.1 2"]) as server:
        failure = failure_of(server.url)
    assert failure.what == "the answer of the host broke off"
    assert failure.was_sent


def test_a_certificate_that_is_not_trusted_is_named_with_the_setting(tmp_path):
    _, context = self_signed(tmp_path)
    with RawServer(lambda _: [answer()], tls=context) as server:
        failure = failure_of(server.url)
    assert failure.what.startswith("the certificate of the host was not accepted (self-signed")
    assert "REQUESTS_CA_BUNDLE" in failure.advice
    assert failure.is_lasting
    assert not failure.was_sent


def test_a_bundle_of_the_environment_is_used(tmp_path, monkeypatch):
    path, context = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with RawServer(lambda _: [answer(b"in")], tls=context) as server:
        assert get(server).content == b"in"


@pytest.mark.parametrize(
    ("content", "what"), [(None, "is not there"), ("no certificate", "holds none")]
)
def test_a_bundle_that_is_none_is_named(tmp_path, monkeypatch, content, what):
    path = tmp_path / "bundle.pem"
    if content:
        path.write_text(content, "utf-8")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    failure = failure_of("https://127.0.0.1:1/")
    if content:  # read after the connection is made
        _, context = self_signed(tmp_path)
        with RawServer(lambda _: [answer()], tls=context) as server:
            failure = failure_of(server.url)
    assert what in failure.what
    assert "REQUESTS_CA_BUNDLE" in failure.advice


def test_tls_to_a_server_without_it_is_named():
    with RawServer(lambda _: [answer()]) as server:
        failure = failure_of(server.url.replace("http", "https"))
    assert failure.what.startswith("no TLS connection to the host could be made")
    assert "scheme" in failure.advice


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials_is_named_with_the_setting(monkeypatch, scheme):
    refusal = answer(status="407 Proxy Authentication Required")
    with RawServer(lambda _: [refusal]) as server:
        monkeypatch.setenv(f"{scheme}_proxy".upper(), server.url)
        url = f"{scheme}://storage.invalid/"
        if scheme == "http":
            assert fetch(prepare("GET", url), most=10, seconds=5.0).status_code == 407
            return
        failure = failure_of(url)
    assert "407" in failure.what
    assert "user:password@host:port" in failure.advice
    assert failure.is_lasting
    assert not failure.was_sent


def test_a_proxy_that_is_gone_is_named(monkeypatch):
    with RawServer(lambda _: []) as server:
        pass
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//user:hidden@"))
    failure = failure_of("https://storage.invalid/")
    assert "proxy" in failure.what
    assert "hidden" not in f"{failure}"
    assert not failure.was_sent


@pytest.mark.parametrize(
    "proxy",
    [
        "foo://127.0.0.1:9",
        "http://[::1",
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http://",
        "http://:8080",
        "http://a b:3128",
        f"http://{'a' * 64}:3128",
        "http://a..b:3128",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_none_is_named_as_the_proxy(monkeypatch, scheme, proxy):
    monkeypatch.setenv(f"{scheme}_proxy".upper(), proxy)
    failure = failure_of(f"{scheme}://storage.invalid/")
    assert failure.what == "the URL of the proxy in the environment cannot be used"
    assert "HTTPS_PROXY" in failure.advice
    assert failure.is_lasting
    assert not failure.was_sent


@pytest.mark.parametrize("url", ["nowhere", "http://a..b/", "ftp://host/", "http://[::1/"])
def test_what_is_no_address_is_said_to_be_none(url):
    assert failure_of(url).what == "the host is no host"


def test_nothing_else_speaks_http():
    own = {"transport/exchange.py"}
    calls = re.compile(r"\brequests\.(get|post|put|head|request|[sS]ession)\(|urlopen\(")
    found = {
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts and str(path.relative_to(PACKAGE)) not in own
        for text in [path.read_text("utf-8")]
        if re.search(r"^import (requests|urllib\.request)", text, re.MULTILINE)
        for line in text.splitlines()
        if calls.search(line)
    }
    assert found == set()
