"""Kind 5: whatever a server, a target or the machine does not do, the run ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import resource
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from support import hostile
from support.attack import APIS, COMPANION, POINTS, STREAMS, TOKEN, serve
from support.login import Login

pytestmark = pytest.mark.kind(5)

QUICK = {"request_timeout_seconds": 1.5, "export_timeout_minutes": 0.15}
"""A request may take so long, and an export nine seconds."""
BOUND = 45.0
"""Seconds in which a run ends with these settings, its retries included, on a busy machine."""
GRACE = 12.0
"""Seconds in which a run ends after a signal: ten are promised, two are for a busy machine."""
POINTS_OF_SIGN_IN = {"sign-in": f"POST {TOKEN}"}


def forever(piece):
    return itertools.repeat(piece)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BEHAVIOURS = {
    "says nothing": hostile.silent,
    "stops in its status line": lambda e: (e.send(b"HTTP/1.1 20"), e.wait(3600)),
    "stops after its status line": lambda e: (e.send(b"HTTP/1.1 200 OK\r\n"), e.wait(3600)),
    "stops in its headers": lambda e: (e.send(HEAD), e.wait(3600)),
    "stops before its body": lambda e: (e.head(Content_Length=100), e.wait(3600)),
    "stops in its body": lambda e: (e.head(Content_Length=100), e.send(b'{"a"'), e.wait(3600)),
    "never closes a body without a length": lambda e: (
        e.head(Content_Type="application/json"),
        e.send(b"[]"),
        e.wait(3600),
    ),
    "drips its status line": hostile.drip_raw(
        lambda: itertools.chain([b"HTTP/1.1 200 "], forever(b"O")), 0.3
    ),
    "drips headers": hostile.drip_raw(
        lambda: itertools.chain([HEAD], (b"X-%d: y\r\n" % n for n in itertools.count())), 0.3
    ),
    "drips one header": hostile.drip_raw(
        lambda: itertools.chain([HEAD, b"X-Y: "], forever(b"z")), 0.3
    ),
    "drips a body": hostile.drip(forever(b" "), 0.3, head={"Content_Length": 10**9}),
    "drips a body without a length": hostile.drip(forever(b" "), 0.3),
    "drips chunks": hostile.chunked(forever(b" "), 0.3),
    "drips the size of a chunk": hostile.drip_raw(
        lambda: itertools.chain([HEAD, b"Transfer-Encoding: chunked\r\n\r\n"], forever(b"0")), 0.3
    ),
    "drips trailers": hostile.drip_raw(
        lambda: itertools.chain(
            [HEAD, b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n"],
            (b"X-%d: y\r\n" % n for n in itertools.count()),
        ),
        0.3,
    ),
    "says 100 Continue for ever": hostile.drip_raw(forever(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.3),
    "says 103 Early Hints for ever": hostile.drip_raw(
        forever(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), 0.05
    ),
}  # fmt: skip
PLACES = [(api, point) for api in APIS for point in ("list", "submit", "poll", "link")]
SLOW = [
    *((name, *PLACES[n % len(PLACES)]) for n, name in enumerate(BEHAVIOURS)),
    *(("drips a body", api, point) for api, point in PLACES[::3]),
    *(("says nothing", api, point) for api, point in PLACES[1::4]),
]


@pytest.mark.parametrize(
    ("name", "api", "point"), SLOW, ids=[f"the {p} of {a} {n}" for n, a, p in SLOW]
)
@pytest.mark.short("the list of insights drips a body")
def test_a_request_has_an_end(lab, name, api, point):
    """A request ends after `request_timeout_seconds`, whatever the server drips meanwhile."""
    lab.front.on(POINTS[api][point], BEHAVIOURS[name])
    run = lab.run(lab.config(api, **QUICK), streams=STREAMS[api][:1], within=BOUND)
    run.assert_sentence()


@pytest.mark.parametrize("name", list(BEHAVIOURS)[::3])
def test_a_sign_in_has_an_end(lab, name):
    """A sign-in takes no longer than any other call, whatever the token endpoint drips."""
    lab.front.on(f"POST {TOKEN}", BEHAVIOURS[name])
    config = lab.config("insights", **lab.with_pat, **QUICK)
    run = lab.run(config, streams=STREAMS["insights"], within=BOUND)
    run.assert_sentence("sign|token|reach")


TABLE = {"Content_Type": "text/csv"}
DOWNLOADS = {
    "says nothing": hostile.silent,
    "stops in its headers": BEHAVIOURS["stops in its headers"],
    "drips headers": BEHAVIOURS["drips headers"],
    "stops before the first byte": lambda e: (e.head(Content_Length=10**6), e.wait(3600)),
    "stops after the first byte": lambda e: (
        e.head(Content_Length=10**6),
        e.send(b"t"),
        e.wait(3600),
    ),
    "drips bytes": hostile.drip(forever(b"a"), 0.2, head={**TABLE, "Content_Length": 10**6}),
    "drips bytes without a length": hostile.drip(forever(b"a"), 0.2, head=TABLE),
    "drips rows": hostile.drip(
        lambda: itertools.chain([b"team_alias,email\n"], forever(b"North,a@b.test\n")),
        0.2,
        head=TABLE,
    ),
    "drips chunks": hostile.chunked(forever(b"a,b\n"), 0.2),
    "drips gzip": hostile.drip(
        lambda: itertools.chain([b"\x1f\x8b\x08\0\0\0\0\0\0\xff"], forever(b"\0")),
        0.2,
        head={**TABLE, "Content_Encoding": "gzip"},
    ),
    "answers 206 with little for ever": lambda e: e.reply(
        206, b"a", Content_Range="bytes 0-0/1000000", ETag='"x"'
    ),
    "cuts every answer after a byte": lambda e: (
        e.head(Content_Length=10**6, ETag='"x"', Accept_Ranges="bytes"),
        e.send(b"a"),
    ),
}


@pytest.mark.parametrize(
    ("name", "api"),
    [(name, APIS[n % 3]) for n, name in enumerate([*DOWNLOADS, "drips bytes", "drips rows"])],
)
@pytest.mark.short("drips bytes without a length-insights")
def test_a_download_has_an_end(lab, name, api):
    """A download has a floor of bytes per second and an end, as its export has."""
    serve(lab, api, DOWNLOADS[name], size=10**6)
    run = lab.run(lab.config(api, **QUICK), streams=STREAMS[api][-1:], within=BOUND)
    run.assert_sentence()


@pytest.mark.parametrize("behaviour", ["drips bytes", "says nothing"])
@pytest.mark.parametrize("api", APIS)
def test_other_streams_go_on_meanwhile(lab, behaviour, api):
    """While one API's download drips, the streams of the others are loaded."""
    serve(lab, api, DOWNLOADS[behaviour], size=10**6)
    streams = [name for other in APIS for name in STREAMS[other]]
    attempt = lab.begin(lab.config(**QUICK), streams=streams)
    run = attempt.end(BOUND * 1.5)
    run.assert_sentence()
    for other in APIS:
        for name in STREAMS[other] if other != api else ():
            assert run.records(name), name


SILENT = {
    "an API that says nothing": hostile.silent,
    "an API that closes every connection": hostile.nothing,
    "an API that resets every connection": hostile.reset,
    "an API that drips": BEHAVIOURS["drips a body"],
}


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_server_costs_its_time_once(lab, name):
    """A server that says nothing costs its time once, not once for each stream."""
    lab.front.on("* *", SILENT[name])
    config = lab.config(**{**QUICK, "data_connector_service_groups": ["admin", "issues"]})
    attempt = lab.begin(config)
    run = attempt.end(BOUND)
    run.assert_sentence("reach|answer|time")
    assert len(lab.front.requests) < 60


@pytest.mark.parametrize("flow", ["access_token", "client_credentials"])
def test_a_dead_host_costs_its_time_once(lab, flow):
    """A host that takes no connection costs its time once, in sign-in as in any other call."""
    dead = socket.create_server(("127.0.0.1", 0), backlog=0)
    url = f"http://127.0.0.1:{dead.getsockname()[1]}"
    fillers = []
    for _ in range(4):  # they fill the backlog, so that further connections get no answer
        filler = socket.socket()
        filler.settimeout(0)
        filler.connect_ex(dead.getsockname())
        fillers.append(filler)
    config = lab.config(
        **(lab.with_pat if flow == "client_credentials" else {}), **QUICK, api_url=url
    )
    try:
        run = lab.run(config, within=BOUND)
    finally:
        for filler in fillers:
            filler.close()
        dead.close()
    run.assert_sentence("reach|answer|time")


def test_a_handshake_that_never_ends_has_an_end(lab):
    """A TLS handshake that the server never answers has an end."""
    lab.front.greeting = lambda _: lab.front.stopped.wait(3600)
    config = lab.config("insights", **QUICK, api_url=f"https://{lab.front.netloc}")
    lab.run(config, streams=STREAMS["insights"], within=BOUND).assert_sentence("reach|time|TLS")


@pytest.mark.parametrize("name", ["says nothing", "drips a body"])
def test_the_companion_ends_as_well(lab, name):
    """`autodesk-exports schema` and `doctor` have an end where the server is slow."""
    lab.front.on("* *", BEHAVIOURS[name])
    run = lab.run(lab.config(**QUICK), "doctor", program=COMPANION, within=BOUND)
    assert run.code == 1


# Lists in pages.


def page(entries, number, total, name):
    return {name: entries, "pagination": {"offset": number, "limit": 100, "totalResults": total}}


def entry(number):
    identity = f"00000000-0000-4000-8000-{number:012d}"
    return {
        "id": identity, "status": "ERROR", "outputFormat": "CSV", "reports": ["USAGE"],
        "timestamp": "2026-01-01T00:00:00Z", "downloads": [], "teamId": None, "teamName": None,
        "requestId": identity, "accountId": "x", "createdAt": "2026-01-01T00:00:00.000Z",
        "completionStatus": "failed", "description": "someone else's", "isActive": False,
        "serviceGroups": ["admin"], "projectIdList": [], "startDate": None, "endDate": None,
        "completedAt": "2026-01-01T00:00:00.000Z", "projectId": None,
    }  # fmt: skip


FULL = [entry(number) for number in range(100)]
PAGES = {
    "the same page for ever": lambda _, name: page(FULL, 0, 10**9, name),
    "the same page, with its offset": lambda offset, name: page(FULL, offset, 10**9, name),
    "a total that grows": lambda offset, name: page(
        [entry(offset + n) for n in range(100)], offset, offset + 300, name
    ),
    "new entries for ever": lambda offset, name: page(
        [entry(offset + n) for n in range(100)], offset, 10**9, name
    ),
    "an offset that is ignored": lambda _, name: page(FULL, 0, 250, name),
    "empty pages before a huge total": lambda offset, name: page([], offset, 10**9, name),
    "one entry a page": lambda offset, name: page([entry(offset)], offset, 10**9, name),
    "a total that is text": lambda offset, name: page(FULL, offset, "many", name),
    "a total that is null": lambda offset, name: page(FULL, offset, None, name),
    "a total that is negative": lambda offset, name: page(FULL, offset, -1, name),
    "a total that is infinite": lambda offset, name: page(FULL, offset, float("inf"), name),
    "a limit of 0": lambda offset, name: {
        name: FULL, "pagination": {"offset": offset, "limit": 0, "totalResults": 10**9},
    },
    "an offset that goes back": lambda offset, name: {
        name: FULL, "pagination": {"offset": -offset, "limit": 100, "totalResults": 10**9},
    },
    "two pages in turn": lambda offset, name: page(
        [entry(n + 100 * (offset // 100 % 2)) for n in range(100)], offset, 10**9, name
    ),
    "no pagination": lambda _, name: {name: FULL},
    "pagination that is null": lambda _, name: {name: FULL, "pagination": None},
    "a page that shrinks by one": lambda offset, name: page(
        FULL[: 99 - min(98, offset // 100)], offset, 10**9, name
    ),
}  # fmt: skip
LISTS = {
    "exports": ("insights", "GET /insights/v1/exports", "exports"),
    "requests": ("data_connector", "GET /data-connector/v1/accounts/*/requests", "results"),
    "jobs": ("data_connector", "GET /data-connector/v1/accounts/*/jobs", "results"),
}
ENDLESS = {"the same page for ever", "the same page, with its offset", "a total that grows",
           "new entries for ever", "an offset that is ignored", "empty pages before a huge total",
           "one entry a page", "two pages in turn"}  # fmt: skip
PAGED = dict.fromkeys([
    *((name, list(LISTS)[n % 3]) for n, name in enumerate(PAGES)),
    *((name, list(LISTS)[(n + 1) % 3]) for n, name in enumerate(sorted(ENDLESS))),
])  # fmt: skip


def paging(name, entries):
    def action(exchange):
        found = re.search(r"[?&]offset=(\d+)", exchange.request.target)
        hostile.json_answer(PAGES[name](int(found[1]) if found else 0, entries))(exchange)

    return action


@pytest.mark.parametrize(
    ("name", "which"), PAGED, ids=[f"{which}, {name}" for name, which in PAGED]
)
@pytest.mark.short("exports, the same page for ever")
def test_paging_has_an_end(lab, name, which):
    """Paging that repeats itself, grows or ignores `offset` ends, in a sentence."""
    api, pattern, entries = LISTS[which]
    lab.front.on(pattern, paging(name, entries))
    run = lab.run(
        lab.config(api, export_timeout_minutes=0.1), streams=STREAMS[api][:1], within=2 * BOUND
    )
    assert len(lab.front.requests) < 5000
    if name in ENDLESS:
        run.assert_sentence(code=None)


@pytest.mark.parametrize("name", ["the same page for ever", "new entries for ever"])
@pytest.mark.parametrize("which", LISTS)
def test_a_list_stream_has_an_end(lab, name, which):
    """A stream of such a list ends, in a sentence."""
    api, pattern, entries = LISTS[which]
    lab.front.on(pattern, paging(name, entries))
    stream = {"exports": "insights_exports"}.get(which, f"data_connector_{which}")
    run = lab.run(lab.config(api), streams=[stream], within=2 * BOUND)
    run.assert_sentence("page|list|entries|end")


# Exports that never end.

WAITING = {
    "an export that is never ready": {"insights": "SUBMITTED", "tokenflex": "Requested"},
    "a status that nobody knows": {"insights": "ARCHIVING", "tokenflex": "Archiving"},
    "a status that is null": {"insights": None, "tokenflex": None},
}


@pytest.mark.parametrize("api", ["insights", "tokenflex"])
@pytest.mark.parametrize("name", WAITING)
def test_an_export_that_never_ends_is_left_pending(lab, name, api):
    """An export that is never ready ends the wait after `export_timeout_minutes`."""
    status = {"insights": "status", "tokenflex": "requestStatus"}[api]
    given = {status: WAITING[name][api], "downloads": [], "downloadUrl": None}

    def stuck(content):
        if isinstance(content, list):
            return [stuck(entry) for entry in content]
        return {**content, **given} if status in content else content

    for point in ("poll", "submit"):
        lab.front.on(POINTS[api][point], hostile.edit(stuck))
    lab.front.on("GET /tokenflex/v1/export/*/requests", hostile.edit(stuck))
    run = lab.run(lab.config(api, **QUICK), streams=STREAMS[api][:1], within=BOUND)
    run.assert_sentence()


@pytest.mark.parametrize(
    ("wait", "api"),
    [
        ("1000000000", "insights"),
        ("86400", "tokenflex"),
        ("Fri, 01 Jan 2100 00:00:00 GMT", "data_connector"),
        ("1" + "0" * 300, "insights"),
    ],
)
def test_an_absurd_retry_after_does_not_stop_a_run_for_ever(lab, wait, api):
    """`Retry-After` of years ends in a sentence, not in a wait of years."""
    lab.front.on(POINTS[api]["poll"], hostile.answer(429, b"{}", Retry_After=wait))
    run = lab.run(lab.config(api, **QUICK), streams=STREAMS[api][:1], within=BOUND, pace=0.01)
    run.assert_sentence()


# Signals.


@pytest.fixture
def pipe():
    """A pipe of 4 KB, whose reader never reads."""
    import fcntl

    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield writer
    for descriptor in (reader, writer):
        os.close(descriptor)


def is_full(pipe):
    import select

    return not select.select([], [pipe], [], 0)[1]


ENDINGS = {
    "SIGTERM": [signal.SIGTERM],
    "SIGINT": [signal.SIGINT],
    "SIGTERM twice": [signal.SIGTERM, signal.SIGTERM],
    "SIGINT, then SIGTERM": [signal.SIGINT, signal.SIGTERM],
}


def ended_by(attempt, signals):
    """Send signals, and return the run, which ended in time and by the first of them."""
    begun = time.monotonic()
    for number in signals:
        attempt.send(number)
        time.sleep(0.2)
    run = attempt.end(GRACE)
    assert time.monotonic() - begun <= GRACE
    assert run.code in {128 + number for number in signals}, run.tail()
    return run


@pytest.mark.parametrize(
    ("name", "api"),
    [
        *((name, APIS[n % 3]) for n, name in enumerate(ENDINGS)),
        *(("SIGTERM", api) for api in APIS[1:]),
    ],
)
@pytest.mark.short("SIGTERM-insights")
def test_a_signal_ends_a_run_whose_target_does_not_read(lab, pipe, name, api):
    """SIGTERM and SIGINT end a run in ten seconds also while its target does not read."""
    attempt = lab.begin(lab.config(api), streams=STREAMS[api], stdout=pipe, pace=1)
    attempt.wait_until(lambda: is_full(pipe))
    time.sleep(0.5)
    ended_by(attempt, ENDINGS[name])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_ends_a_run_whose_log_nobody_reads(lab, number):
    """SIGTERM and SIGINT end a run in ten seconds also while nobody reads its log."""
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    rule = lab.front.on(POINTS["insights"]["list"], hostile.silent)
    log = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY)  # one that blocks
    attempt = lab.begin(lab.config("insights"), streams=STREAMS["insights"], stderr=log, pace=1)

    def has_called():
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 1 << 20)
        return bool(rule.met)

    attempt.wait_until(has_called)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    ended_by(attempt, [number])
    for descriptor in (reader, writer, log):
        os.close(descriptor)


PLACES = {"a device": "/dev/null", "an endless device": "/dev/zero", "where no file can be":
          "/proc/tokens.json", "a folder": "FOLDER", "a pipe": "PIPE"}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_token_store_that_is_no_file_is_named_at_once(lab, name):
    """A `token_store` that is no file, and cannot be one, ends in a sentence and not in a wait."""
    place = PLACES[name].replace("FOLDER", str(lab.folder))
    if name == "a pipe":
        place = str(lab.folder / "pipe")
        os.mkfifo(place)
    config = lab.config("insights", **lab.with_refresh_token, token_store=place)
    run = lab.run(config, streams=STREAMS["insights"][:1], within=30)
    run.assert_sentence("token store")


@pytest.mark.parametrize("name", ENDINGS)
def test_a_signal_ends_a_run_that_waits_for_its_target_and_a_download(lab, pipe, name):
    """A signal ends a run that waits for its target while another file drips in."""
    serve(lab, "tokenflex", DOWNLOADS["drips bytes"])
    streams = [*STREAMS["insights"], *STREAMS["tokenflex"]]
    attempt = lab.begin(lab.config("insights", "tokenflex"), streams=streams, stdout=pipe, pace=1)
    attempt.wait_until(lambda: is_full(pipe))
    ended_by(attempt, ENDINGS[name])


MOMENTS = {
    "a list that says nothing": ("insights", "list", "says nothing"),
    "a POST that says nothing": ("insights", "submit", "says nothing"),
    "a poll that drips": ("tokenflex", "poll", "drips a body"),
    "a link that says nothing": ("data_connector", "link", "says nothing"),
    "a download that drips": ("insights", "file", "drips a body"),
    "a download that says nothing": ("tokenflex", "file", "says nothing"),
    "a wait that a server asks for": ("tokenflex", "poll", None),
}


@pytest.mark.parametrize(
    ("name", "number"),
    [(name, (signal.SIGTERM, signal.SIGINT)[n % 2]) for n, name in enumerate(MOMENTS)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_signal_ends_a_run_at_any_moment(lab, name, number):
    """A signal ends a run in ten seconds whatever it waits for, and temporary files go."""
    api, point, behaviour = MOMENTS[name]
    action = BEHAVIOURS[behaviour] if behaviour else hostile.answer(429, b"{}", Retry_After="3000")
    rule = lab.front.on(POINTS[api][point], action)
    attempt = lab.begin(lab.config(api), streams=STREAMS[api], pace=1)
    attempt.wait_until(lambda: rule.met)
    ended_by(attempt, [number])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("where", ["list", "poll", "file"])
@pytest.mark.short("file-15")
def test_a_signal_ends_the_companion_without_a_trace(lab, where, number):
    """A signal ends `autodesk-exports shapes` in ten seconds, and its temporary files go."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("what the tests were started by has this signal ignored, as nohup does")
    rule = lab.front.on(POINTS["insights"][where], hostile.silent)
    attempt = lab.begin(lab.config("insights"), "shapes", program=COMPANION)
    attempt.wait_until(lambda: rule.met)
    attempt.send(number)
    run = attempt.end(GRACE)
    assert run.code in {1, 128 + number}


SILENT_RESOLVER = """
import socket, time
known = socket.getaddrinfo
def silent(host, *more, **named):
    if host == "localhost":
        time.sleep(3600)
    return known(host, *more, **named)
socket.getaddrinfo = silent
"""


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("flow", ["token", "personal access token"])
@pytest.mark.short("token-15")
def test_a_resolver_that_says_nothing_has_an_end(lab, flow, number):
    """A resolver that never answers costs no more than a host that takes no connection."""
    site = lab.folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SILENT_RESOLVER, encoding="utf-8")
    url = lab.front.url.replace("127.0.0.1", "localhost")
    more = {} if flow == "token" else lab.with_pat
    config = lab.config("insights", api_url=url, request_timeout_seconds=2, **more)
    attempt = lab.begin(config, streams=STREAMS["insights"], env={"PYTHONPATH": str(site)}, pace=1)
    if number is None:
        attempt.end(120).assert_sentence("localhost")
        return
    attempt.wait_until(lambda: "filelock" in attempt.log())
    attempt.send(number)
    assert attempt.end(GRACE).code == 128 + number


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6, 0.9])
def test_a_signal_ends_a_run_that_has_just_begun(lab, delay):
    """A signal during the start of the tap ends it, without a traceback."""
    attempt = lab.begin(lab.config("insights"), streams=STREAMS["insights"], pace=1)
    time.sleep(delay)
    attempt.send(signal.SIGTERM)
    run = attempt.end(GRACE)
    assert run.code in {0, 128 + signal.SIGTERM, -signal.SIGTERM}


# A sign-in that waits for its browser.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
@pytest.mark.parametrize("visitor", ["nobody", "a silent visitor"])
def test_a_signal_ends_a_sign_in(lab, number, visitor):
    """A signal ends a sign-in that waits for its browser, whoever is connected to it."""
    login = Login(lab)
    kept = login.knock(b"GET /callback HTTP/1.1\r\n") if visitor != "nobody" else None
    login.attempt.send(number)
    run = login.attempt.end(GRACE)
    assert run.code != 0
    if kept:
        kept.close()


VISITORS = {
    "nobody": b"",
    "a silent one": None,
    "one that stops in its request": b"GET /callback?code=",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01",
    "a long line": b"GET /" + b"a" * 200_000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
    "another path": b"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another method": b"POST /callback HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
    "a wrong state": b"GET /callback?code=x&state=y HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no parameters": b"GET /callback HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "parameters twice": b"GET /callback?code=x&code=y&state=a&state=b HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", VISITORS)
def test_other_visitors_do_not_keep_a_sign_in_from_its_end(lab, name):
    """Whoever else connects to the callback, the sign-in of the user comes to its end."""
    login = Login(lab)
    kept = login.knock(VISITORS[name] or b"")
    time.sleep(0.1)
    login.allow()
    run = login.attempt.end(30)
    kept.close()
    run.assert_ok()
    assert login.store.exists()


# A machine that gives no threads.


def without_privileges():
    """A command that runs another one as a user of its own, so that limits of threads count."""
    if os.geteuid():
        return [], 0
    if not shutil.which("setpriv"):
        pytest.skip("limits of threads do not count for root, and there is no setpriv")
    user = 40_000 + (os.getpid() * 131 + int(time.monotonic() * 100)) % 20_000
    kept = "-all,+dac_override,+dac_read_search,+fowner"
    return [
        "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", f"--inh-caps={kept}",
        f"--ambient-caps={kept}", f"--bounding-set={kept}",
    ], user  # fmt: skip


def threads_of_this_user():
    mine = os.geteuid()
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == mine:
                total += len(list((process / "task").iterdir()))
    return total


THREADS = [
    *(("insights", count) for count in (1, 2, 3, 5, 8)),
    *(("tokenflex", count) for count in (1, 4)),
    *(("data_connector", count) for count in (1, 2, 6)),
]


@pytest.mark.parametrize(("api", "count"), THREADS)
@pytest.mark.short("insights-3")
def test_a_thread_that_cannot_be_started_is_an_error(lab, api, count):
    """A thread that cannot be started is an error in a sentence, not a wait for ever."""
    before, user = without_privileges()
    others = 0 if user else threads_of_this_user()
    limit = others + count
    run = lab.run(
        lab.config(api, max_concurrent_exports=4, **QUICK),
        streams=STREAMS[api],
        limits={resource.RLIMIT_NPROC: limit},
        before=before,
        within=BOUND,
    )
    assert run.code in {0, 1}
    if run.code:
        run.assert_sentence("thread|resource")
