"""Kind 4: each refresh token is good for one use, and its successor is never lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from urllib.parse import parse_qs

import pytest

from support import hostile
from support.attack import COMPANION, STREAMS, TOKEN

pytestmark = pytest.mark.kind(4)

SEED = "SeedRefreshToken-0123456789"
STREAM = STREAMS["insights"][:1]
PATIENCE = 75.0
"""Seconds in which a run ends after a signal while its token endpoint is slow."""


class Chain:
    """A token endpoint whose refresh tokens are good for one use.

    Attributes:
        current: The only refresh token that is good now.
        spoil: What becomes of an answer before it is sent: a changed object, or bytes.
        delay: Seconds between the use of a token and the answer.
        rotates: Whether a use ends the token.
        used: The refresh tokens that were sent, in order.
        refused: How many of them were no good.
    """

    def __init__(self, lab):
        self.lab = lab
        self.current = SEED
        self.spoil = lambda content: content
        self.delay = 0.0
        self.rotates = True
        self.used = []
        self.refused = 0
        lab.plant(SEED)
        lab.front.on(f"POST {TOKEN}", self)

    def __call__(self, exchange):
        sent = parse_qs(exchange.request.body.decode()).get("refresh_token", [""])[0]
        self.used.append(sent)
        if sent != self.current:
            self.refused += 1
            hostile.json_answer({"error": "invalid_grant"}, 400)(exchange)
            return
        content = {"access_token": self._access(), "token_type": "Bearer", "expires_in": 3599}
        if self.rotates:
            self.current = f"RefreshToken-{len(self.used)}-{os.urandom(8).hex()}"
            self.lab.plant(self.current)
        content["refresh_token"] = self.current
        answer = self.spoil(content)
        exchange.wait(self.delay)
        if callable(answer):
            answer(exchange)
        elif isinstance(answer, bytes):
            exchange.reply(200, answer, Content_Type="application/json")
        else:
            hostile.json_answer(answer)(exchange)

    def _access(self):
        """Return a new access token, which the sandbox takes for its own."""
        token = f"AccessToken-{len(self.used)}-{os.urandom(8).hex()}"
        self.lab.plant(token)
        ready = f"Bearer {self.lab.access_token}"
        self.lab.front.translate[f"Bearer {token}"] = ready
        return token

    def heal(self):
        """Behave from now on; no access token that was handed out is good any more."""
        self.lab.front.translate.clear()
        self.spoil = lambda content: content
        self.delay = 0.0
        self.rotates = True


@pytest.fixture
def chain(lab):
    return Chain(lab)


@pytest.fixture
def store(lab):
    return lab.folder / "store" / "tokens.json"


@pytest.fixture
def settings(lab, store):
    store.parent.mkdir()
    return lab.config(
        "insights",
        auth_flow="refresh_token",
        access_token=None,
        client_id="app",
        client_secret="client-secret-0123456789",
        refresh_token=SEED,
        token_store=str(store),
    )


def assert_whole(lab, chain, settings):
    """Check that the next run signs in with the refresh token that is good now."""
    chain.heal()
    refused, good = chain.refused, chain.current
    run = lab.run(settings, streams=STREAM)
    run.assert_ok()
    assert chain.refused == refused
    assert chain.used[-1] == good


EXPIRIES = {
    "missing": ...,
    "null": None,
    "text": "soon",
    "a number in text": "3599",
    "empty text": "",
    "zero": 0,
    "negative": -3600,
    "a fraction": 3599.5,
    "huge": 10**18,
    "beyond any number": 10**400,
    "an exponent": 1e308,
    "true": True,
    "a list": [3599],
    "an object": {"seconds": 3599},
}


@pytest.mark.parametrize("name", EXPIRIES)
@pytest.mark.short("null")
def test_an_odd_expiry_loses_no_chain(lab, chain, settings, name):
    """An answer whose `expires_in` is missing or absurd serves, and its refresh token is kept."""

    def spoil(content):
        if EXPIRIES[name] is ...:
            del content["expires_in"]
        else:
            content["expires_in"] = EXPIRIES[name]
        return content

    chain.spoil = spoil
    run = lab.run(settings, streams=STREAM)
    run.assert_ok()
    assert len(chain.used) < 20
    assert_whole(lab, chain, settings)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0"])
def test_an_expiry_that_is_no_number_loses_no_chain(lab, chain, settings, number):
    """An `expires_in` that only some JSON readers take loses no chain either."""
    chain.spoil = lambda content: json.dumps(content).encode().replace(b"3599", number)
    run = lab.run(settings, streams=STREAM)
    assert run.code in {0, 1}
    if run.code:
        run.assert_sentence("sign|token")
    assert_whole(lab, chain, settings)


ACCESS = {
    "missing": ...,
    "null": None,
    "empty": "",
    "a number": 5,
    "a list": ["x"],
    "with a line feed": "abcdefgh\r\nX-Evil: yes",
    "not Latin": "tökén-☃-0123456789",
    "blank": "   ",
}


@pytest.mark.parametrize("name", ACCESS)
@pytest.mark.short("null")
def test_an_answer_without_a_usable_access_token_loses_no_chain(lab, chain, settings, name):
    """The refresh token of an answer is kept also where its access token cannot be used."""

    def spoil(content):
        if ACCESS[name] is ...:
            del content["access_token"]
        else:
            content["access_token"] = ACCESS[name]
        return content

    chain.spoil = spoil
    run = lab.run(settings, streams=STREAM)
    run.assert_sentence("sign|token")
    assert_whole(lab, chain, settings)


FURTHER = {
    "a type that is null": lambda c: {**c, "token_type": None},
    "another type": lambda c: {**c, "token_type": "MAC"},
    "a type in small letters": lambda c: {**c, "token_type": "bearer"},
    "an error beside": lambda c: {**c, "error": "none"},
    "a scope that is a list": lambda c: {**c, "scope": ["data:read"]},
    "names in capitals beside": lambda c: {**c, "Refresh_Token": "another"},
    "a BOM": lambda c: b"\xef\xbb\xbf" + json.dumps(c).encode(),
    "blank lines around": lambda c: b"\n\n  " + json.dumps(c).encode() + b"\r\n\n",
    "another content type": lambda c: (
        lambda e: e.reply(200, json.dumps(c).encode(), Content_Type="text/html")
    ),
    "no content type": lambda c: lambda e: e.reply(200, json.dumps(c).encode()),
    "201": lambda c: lambda e: e.reply(201, json.dumps(c).encode()),
    "a long refresh token": lambda c: c,
    "a dripping answer": lambda c: hostile.drip(
        [bytes([b]) for b in json.dumps(c).encode()], 0.005
    ),
    "chunks": lambda c: hostile.chunked([bytes([b]) for b in json.dumps(c).encode()]),
}


@pytest.mark.parametrize("name", FURTHER)
def test_an_answer_that_is_odd_otherwise_loses_no_chain(lab, chain, settings, name):
    """An answer that is odd in other ways loses no chain."""

    def spoil(content):
        if "long" in name:
            chain.current = content["refresh_token"] = "r" * 20_000
        return FURTHER[name](content)

    chain.spoil = spoil
    run = lab.run(settings, streams=STREAM)
    assert run.code in {0, 1}
    assert_whole(lab, chain, settings)


REFRESH = {
    "missing": ...,
    "null": None,
    "empty": "",
    "blank": " ",
    "a number": 5,
    "a list": [],
    "an object": {},
    "false": False,
}


@pytest.mark.parametrize("name", REFRESH)
def test_an_empty_refresh_token_does_not_replace_a_good_one(lab, chain, settings, name):
    """An answer without a refresh token leaves the one that is good in its place."""
    lab.run(settings, streams=STREAM).assert_ok()
    lab.front.translate.clear()
    chain.rotates = False

    def spoil(content):
        if REFRESH[name] is ...:
            del content["refresh_token"]
        else:
            content["refresh_token"] = REFRESH[name]
        return content

    chain.spoil = spoil
    lab.run(settings, streams=STREAM)
    assert_whole(lab, chain, settings)


REFUSALS = {
    "a page": hostile.answer(200, b"<html>maintenance</html>", Content_Type="text/html"),
    "nothing": hostile.answer(200, b""),
    "a list": hostile.answer(200, b"[]"),
    "null": hostile.answer(200, b"null"),
    "half an object": hostile.answer(200, b'{"access_token": "x'),
    "an error with 200": hostile.answer(200, b'{"error": "server_error"}'),
    "500": hostile.answer(500, b"{}"),
    "503 with a wait": hostile.answer(503, b"", Retry_After="0"),
    "429 with an absurd wait": hostile.answer(429, b"", Retry_After="1e99"),
    "a reset": hostile.reset,
    "a close": hostile.nothing,
    "no HTTP": hostile.raw(b"\x16\x03\x01\x00\x00"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_an_endpoint_that_fails_loses_no_chain(lab, chain, settings, name):
    """A token endpoint that fails without using the token leaves it good for the next run."""
    lab.run(settings, streams=STREAM).assert_ok()
    lab.front.translate.clear()
    lab.front.on(f"POST {TOKEN}", REFUSALS[name], times=9)
    run = lab.run(settings, streams=STREAM)
    assert run.code in {0, 1}
    lab.front.on(f"POST {TOKEN}", chain)
    assert_whole(lab, chain, settings)


# The store.

OTHERS = {
    "null": None,
    "text": "not an entry",
    "a list": [],
    "a token that is null": {"refresh_token": None},
    "a token that is a number": {"refresh_token": 7, "token": 7},
    "an object of a newer release": {"refresh_token": "x", "format": 9, "more": {"a": [1]}},
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.short("null")
def test_another_entry_of_the_store_may_be_damaged(lab, chain, settings, store, name):
    """Another entry of the store that is damaged costs this app's chain nothing."""
    lab.run(settings, streams=STREAM).assert_ok()
    content = json.loads(store.read_text("utf-8"))
    assert isinstance(content, dict)
    store.write_text(json.dumps({"another app": OTHERS[name], **content}), "utf-8")
    assert_whole(lab, chain, settings)
    assert_whole(lab, chain, settings)


BESIDE = (
    "tokens.json.tmp", "tokens.json.partial", "tokens.json~", ".tokens.json.tmp", "tokens.json.bak",
    "tokens.json.new", "tokens.tmp",
)  # fmt: skip


@pytest.mark.parametrize("what", ["half a file", "a folder", "a link to nowhere"])
def test_half_written_files_beside_the_store_do_no_harm(lab, chain, settings, store, what):
    """What a killed process left beside the store does no harm."""
    lab.run(settings, streams=STREAM).assert_ok()
    half = store.read_bytes()[:20]
    names = {*BESIDE, *(f"{path.name}.tmp" for path in store.parent.iterdir())}
    for name in names - {path.name for path in store.parent.iterdir()}:
        path = store.parent / name
        if what == "half a file":
            path.write_bytes(half)
        elif what == "a folder":
            path.mkdir()
        else:
            path.symlink_to(store.parent / "nowhere")
    assert_whole(lab, chain, settings)


FORMS = {
    "blank lines around": lambda text: f"\n\n{text}\n\n",
    "Windows line ends": lambda text: json.dumps(json.loads(text), indent=2).replace("\n", "\r\n"),
    "another order and form": lambda text: json.dumps(json.loads(text), indent=4, sort_keys=True),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_store_that_another_program_saved_is_read(lab, chain, settings, store, name):
    """A store that an editor or a sync tool saved in another form is still read."""
    lab.run(settings, streams=STREAM).assert_ok()
    store.write_text(FORMS[name](store.read_text("utf-8")), "utf-8", newline="")
    assert_whole(lab, chain, settings)


DAMAGED = {
    "empty": b"",
    "NULs": bytes(200),
    "half of it": ...,
    "no JSON": b"tokens",
    "a list": b"[]",
    "null": b"null",
    "text": b'"token"',
    "no UTF-8": b"\xff\xfe\x00",
    "entries that are null": None,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_store_is_named_and_a_new_seed_serves(lab, chain, settings, store, name):
    """A store that cannot be read is named, or the seed of the settings is used."""
    lab.run(settings, streams=STREAM).assert_ok()
    text = store.read_bytes()
    content = DAMAGED[name]
    if content is ...:
        content = text[: len(text) // 2]
    elif content is None:
        content = json.dumps(dict.fromkeys(json.loads(text))).encode()
    store.write_bytes(content)
    chain.current = "NewSeedOfTheUser-0123456789"
    run = lab.run({**settings, "refresh_token": chain.current}, streams=STREAM)
    if run.code:
        run.assert_sentence("token.store|tokens.json")
        assert chain.current == "NewSeedOfTheUser-0123456789"


UNUSABLE = {
    "a folder": lambda folder: folder,
    "below a file": lambda folder: folder / "config.json" / "tokens.json",
    "below a device": lambda _: "/dev/full/tokens.json",
    "a device": lambda _: "/dev/full",
    "below /proc": lambda _: "/proc/tokens.json",
    "a name that is too long": lambda folder: folder / ("t" * 300),
    "a name with a NUL": lambda folder: f"{folder}/to\0kens.json",
    "a link that leads to itself": lambda folder: folder / "loop",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_without_a_usable_store_no_token_is_used_up(lab, chain, settings, name):
    """Where a new token could not be kept, the old one is not used."""
    (lab.folder / "loop").symlink_to(lab.folder / "loop")
    config = {**settings, "token_store": str(UNUSABLE[name](lab.folder))}
    run = lab.run(config, streams=STREAM)
    run.assert_sentence("token.store")
    assert chain.used == []


def test_on_a_full_disk_no_token_is_lost(lab, chain, settings):
    """On a disk that is full either no token is used, or its successor is kept."""
    small = lab.folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(small)]
    if not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        config = {**settings, "token_store": str(small / "tokens.json")}
        lab.run(config, streams=STREAM).assert_ok()
        filler = small / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:  # until no space is left
                file.write(bytes(4096))
        good = chain.current
        lab.front.translate.clear()
        run = lab.run(config, streams=STREAM)
        assert run.code == 1 or chain.current != good
        filler.unlink()
        assert_whole(lab, chain, config)
    finally:
        subprocess.run(["umount", str(small)], check=True)


# Signals.

SIGNALS = {
    "SIGTERM": [signal.SIGTERM],
    "SIGINT": [signal.SIGINT],
    "SIGHUP": [signal.SIGHUP],
    "SIGTERM twice": [signal.SIGTERM, signal.SIGTERM],
    "SIGINT twice": [signal.SIGINT, signal.SIGINT],
    "SIGTERM and SIGINT": [signal.SIGTERM, signal.SIGINT],
    "SIGINT and SIGTERM": [signal.SIGINT, signal.SIGTERM],
}


@pytest.mark.parametrize(
    ("name", "answer"), [(name, ("late", "dripping")[n % 2]) for n, name in enumerate(SIGNALS)]
)
@pytest.mark.short("SIGTERM twice-dripping")
def test_a_signal_waits_for_the_new_token(lab, chain, settings, name, answer):
    """A signal, or two, while the token endpoint is slow, waits until the new token is kept."""
    if answer == "late":
        chain.delay = 2.0
    else:
        chain.spoil = lambda content: hostile.drip(
            [bytes([byte]) for byte in json.dumps(content).encode()], 0.01
        )
    attempt = lab.begin(settings, streams=STREAM)
    attempt.wait_until(lambda: chain.used)
    for number in SIGNALS[name]:
        attempt.send(number)
        time.sleep(0.3)
    run = attempt.end(PATIENCE, checked=name != "SIGHUP")
    assert run.code != 0
    assert_whole(lab, chain, settings)


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_waits_for_the_companion_as_well(lab, chain, settings, signals):
    """The companion's commands keep the new token as well before a signal ends them."""
    chain.delay = 2.0
    attempt = lab.begin(settings, "doctor", program=COMPANION)
    attempt.wait_until(lambda: chain.used)
    for _ in range(signals):
        attempt.send(signal.SIGINT)
        time.sleep(0.3)
    attempt.end(PATIENCE)
    assert_whole(lab, chain, settings)


def test_a_silent_endpoint_does_not_hold_a_signal_for_ever(lab, chain, settings):
    """Where the token endpoint never answers, a signal ends the run within a minute."""
    rule = lab.front.on(f"POST {TOKEN}", hostile.silent)
    attempt = lab.begin({**settings, "request_timeout_seconds": 120}, streams=STREAM)
    attempt.wait_until(lambda: rule.met)
    attempt.send(signal.SIGTERM)
    run = attempt.end(PATIENCE)
    assert run.code == 128 + signal.SIGTERM
    lab.front.on(f"POST {TOKEN}", chain)
    assert_whole(lab, chain, settings)


def test_a_target_that_dies_during_sign_in_costs_no_token(lab, chain, settings):
    """A target that dies while the token endpoint is slow costs no token."""
    chain.delay = 1.0
    reader, writer = os.pipe()
    attempt = lab.begin(settings, streams=STREAM, stdout=writer)
    os.close(writer)
    attempt.wait_until(lambda: chain.used)
    os.close(reader)
    attempt.end()
    assert_whole(lab, chain, settings)


def test_two_runs_at_once_share_a_chain(lab, chain, settings):
    """Two runs that begin at once use each token once."""
    chain.delay = 0.5
    runs = [lab.begin(settings, streams=STREAM) for _ in range(2)]
    done = [run.end(checked=False) for run in runs]
    assert [run.code for run in done] == [0, 0]
    assert chain.refused == 0
    assert_whole(lab, chain, settings)


def test_a_killed_run_does_not_lock_the_store(lab, chain, settings):
    """A run that was killed while it signed in does not keep the next one from the store."""
    rule = lab.front.on(f"POST {TOKEN}", hostile.silent)
    attempt = lab.begin(settings, streams=STREAM)
    attempt.wait_until(lambda: rule.met)
    attempt.send(signal.SIGKILL)
    attempt.end(checked=False)
    for path in lab.temporary.iterdir():
        shutil.rmtree(path)
    lab.front.on(f"POST {TOKEN}", chain)
    assert_whole(lab, chain, settings)


def test_a_token_that_is_refused_in_mid_run_is_renewed_once(lab, chain, settings):
    """An access token that many calls find refused at once is renewed once."""
    rule = lab.front.on("* /insights/*", hostile.answer(401, b"{}"), times=4)
    run = lab.run(settings, streams=STREAMS["insights"])
    assert rule.met
    assert chain.refused == 0
    assert len(chain.used) < 6
    assert run.code in {0, 1}
    lab.front.clear()  # what the run had no need to ask may be left of the four
    lab.front.on(f"POST {TOKEN}", chain)
    assert_whole(lab, chain, settings)


def test_an_endpoint_that_always_gives_refused_tokens_is_given_up(lab, chain, settings):
    """Where every new access token is refused, the run ends instead of renewing for ever."""
    lab.front.on("* /insights/*", hostile.answer(401, b"{}"))
    run = lab.run(settings, streams=STREAMS["insights"])
    run.assert_sentence("401|sign in")
    assert len(chain.used) < 10
    lab.front.clear()
    lab.front.on(f"POST {TOKEN}", chain)
    assert_whole(lab, chain, settings)
