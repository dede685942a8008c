"""A chain of single-use refresh tokens survives kills and runs that overlap.

`CHAIN_RUNS=200` makes it long; the suite runs a short form.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from support.oauth_server import WITH_REFRESH_TOKEN, Changed, OAuthServer
from support.processes import ROOT
from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.clock import Clock

RUNS = int(os.environ.get("CHAIN_RUNS", "20"))
ONE_RUN = ROOT / "tests/support/one_run.py"


class Run:
    """A process that signs in and calls an API for a quarter of a second."""

    def __init__(self, starter, config, output, waits):
        order = {"config": config, "output": str(output), "waits": waits}
        starter.stdin.write(json.dumps(order) + "\n")
        starter.stdin.flush()
        self.pid = int(starter.stdout.readline())
        self._output = output

    def said(self):
        return self._output.read_text() if self._output.exists() else ""

    def wait_for(self, text):
        while text not in self.said() and self.is_alive():
            time.sleep(0.005)

    def is_alive(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def kill(self, after):
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def send(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self):
        while self.is_alive():
            time.sleep(0.005)
        return self.said()


@pytest.fixture
def server():
    with OAuthServer(Clock()) as server:
        yield server


@pytest.fixture
def start(server, tmp_path):
    """`start()` begins a run and returns it; `waits`: with a thread that waits for signals."""
    config = {**WITH_REFRESH_TOKEN, "api_url": server.url}
    config["token_store"] = str(tmp_path / "store" / "tokens.json")
    command = [sys.executable, str(ONE_RUN)]
    numbers = iter(range(10**6))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        yield lambda waits=False: Run(starter, config, tmp_path / f"{next(numbers)}.txt", waits)


KINDS = (
    "alone",
    "killed",
    "signal",
    "damaged",
    "two",
    "two, one killed",
    "signals",
    "signal, damaged",
)
DAMAGES = (
    lambda body: body.pop("expires_in"),
    lambda body: body.update(expires_in=None),
    lambda body: body.update(expires_in="soon"),
    lambda body: body.update(expires_in=-(10**30)),
    lambda body: body.update(expires_in=10**400),
    lambda body: body.update(access_token=None),
    lambda body: body.update(access_token=["x"]),
    lambda body: body.pop("access_token"),
)
"""What changes an answer and leaves its refresh token: without that, no chain could go on."""


@pytest.mark.timeout(1800)
def test_no_run_loses_the_chain(server, start, tmp_path):
    dice = random.Random(7)  # noqa: S311
    said = ""
    for number in range(RUNS):
        # The token of the last run is no longer good: this run has to use the chain.
        server.authentication.forget_access_tokens()
        kind = KINDS[number % len(KINDS)]
        asked = len(server.forms)
        damage = dice.choice(DAMAGES) if "damaged" in kind else lambda _body: None
        if "signal" in kind or "damaged" in kind:
            late = dice.uniform(0.05, 0.3) if "signal" in kind else 0
            server.answers = [Changed(lambda body, d=damage, s=late: d(body) or time.sleep(s))]
        waits = dice.random() < 0.5
        runs = [start(waits) for _ in range(2 if kind.startswith("two") else 1)]
        if "killed" in kind:
            runs[0].wait_for("signed in")
            runs[0].kill(after=dice.uniform(0, 0.25))
            said += runs.pop(0).end()
        elif "signal" in kind:
            # The answer is on its way: the token is used up, and its successor not yet stored.
            while len(server.forms) == asked:
                time.sleep(0.002)
            for _ in range(2 if kind == "signals" else 1):
                time.sleep(dice.uniform(0, 0.1))
                runs[0].send(dice.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))
            said += runs.pop(0).end()
        for run in runs:
            ended = run.end()
            said += ended
            refused = "damaged" in kind and "answered 200 without an access token" in ended
            assert refused or ended.endswith("done\n"), ended
    server.answers = []
    sign_in = server.sign_in(tmp_path / "store", **WITH_REFRESH_TOKEN)
    assert server.status(Api.INSIGHTS, sign_in.headers(Api.INSIGHTS)) == 200
    assert server.authentication.answered["refresh_token"] >= RUNS
    assert not [secret for secret in server.authentication.secrets() if secret in said]
    left = sorted(path.name for path in (tmp_path / "store").iterdir())
    assert left == ["tokens.json", "tokens.json.lock"]


def test_processes_that_begin_together_use_one_token_up(server, start):
    for run in [start() for _ in range(4)]:
        assert run.end().endswith("done\n")
    assert server.authentication.answered == {"refresh_token": 1}


def test_a_kill_at_any_moment_leaves_a_whole_store_and_no_lock(server, start, tmp_path):
    """At any moment at all, also while the answer is on its way: then signing in again helps."""
    dice = random.Random(11)  # noqa: S311
    for _ in range(RUNS):
        server.authentication.forget_access_tokens()
        run = start()
        run.kill(after=dice.uniform(0, 0.1))
        run.end()
        with contextlib.suppress(FileNotFoundError):
            json.loads((tmp_path / "store" / "tokens.json").read_text())
    said = start().end()
    assert said.endswith("done\n") or "Sign in again with `autodesk-exports login`" in said


def test_no_secret_is_in_the_process_list(server, start):
    run = start()
    run.wait_for("signed in")
    listed = subprocess.run(
        ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert run.end().endswith("done\n")
    assert not [secret for secret in server.authentication.secrets() if secret in listed]
