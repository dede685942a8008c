"""A signal ends a process soon, and not before a task is through that must not be lost."""

import signal
import subprocess
import sys
import time

import pytest

RUN = """
import logging, os, sys, threading, time
from tap_autodesk_exports import signals
logging.basicConfig(level="INFO", stream=sys.stderr)
signals.GRACE = 0.3 if sys.argv[4] == "hangs" else 20.0
signals.PATIENCE = float(sys.argv[2])
if sys.argv[1] == "woken":
    signals._Blocked = signals._Woken
stop = threading.Event()
if sys.argv[1] != "handlers":
    waiting = signals.Signals(stop, threading.RLock(), lambda: print("left", flush=True))
    waiting.begin()
def task():
    with signals.uninterrupted():
        print("begun", flush=True)
        end = time.monotonic() + float(sys.argv[3])
        while time.monotonic() < end:
            time.sleep(0.01)
        print("stored", flush=True)
def main():
    if sys.argv[1] == "handlers":
        task()
        print("on", flush=True)
    else:
        threading.Thread(target=task, daemon=True).start()
        stop.wait()
        if sys.argv[4] == "hangs":
            time.sleep(100)
    print("ended", flush=True)
    sys.exit(3)
main()
"""

WAYS = pytest.mark.parametrize("way", ["blocked", "woken"])
NUMBERS = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name
)


@pytest.fixture(autouse=True)
def _nothing_ignored():
    """Ignore no signal, as processes do that `nohup` or a shell's `&` has begun."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


class Process:
    """A process that works at a task for some seconds."""

    def __init__(self, way, patience=60.0, seconds=0.0, ends="ends"):
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-c", RUN, way, str(patience), str(seconds), ends],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "begun\n"
        self.begun = time.monotonic()

    def send(self, *numbers):
        for number in numbers:
            self._process.send_signal(number)
            time.sleep(0.05)

    def end(self):
        out, self.log = self._process.communicate(timeout=30)
        self.seconds = time.monotonic() - self.begun
        self.code = self._process.returncode
        return out.split()


@WAYS
@NUMBERS
def test_a_run_that_ends_by_itself_is_left_to_end(way, number):
    process = Process(way)
    process.send(number)
    assert process.end()[-1] == "ended"
    assert process.code == 3
    assert f"{number.name}: ending the run" in process.log


@WAYS
def test_a_run_that_hangs_is_left(way):
    process = Process(way, ends="hangs")
    process.send(signal.SIGTERM)
    assert process.end()[-1] == "left"
    assert process.code == 128 + signal.SIGTERM


@WAYS
@pytest.mark.parametrize("second", [(), (signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM)])
def test_a_task_that_must_not_be_lost_is_waited_for(way, second):
    process = Process(way, seconds=0.5, ends="hangs")
    process.send(signal.SIGTERM, *second)
    assert process.end() == ["stored", "left"]
    assert process.code == 128 + signal.SIGTERM
    assert process.seconds > 0.4
    assert "Waiting until the new refresh token is stored" in process.log


@WAYS
def test_the_wait_has_an_end(way):
    process = Process(way, patience=0.5, seconds=30, ends="hangs")
    process.send(signal.SIGTERM, signal.SIGTERM)
    assert process.end() == ["left"]
    assert process.seconds < 5


@NUMBERS
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_command_that_waits_for_no_signals_is_not_interrupted_either(number, times):
    process = Process("handlers", seconds=0.5)
    process.send(*[number] * times)
    assert process.end() == ["stored"]
    # Afterwards a signal does what it would have done.
    assert process.code == -number
    assert ("KeyboardInterrupt" in process.log) == (number is signal.SIGINT)


def test_a_command_that_hangs_in_a_task_is_left_at_last():
    process = Process("handlers", patience=0.5, seconds=30)
    process.send(signal.SIGTERM)
    assert process.end() == []
    assert process.code == 128 + signal.SIGTERM


def test_without_a_signal_nothing_changes():
    process = Process("handlers", patience=0.1, seconds=0.3)
    assert process.end() == ["stored", "on", "ended"]
    assert process.code == 3


def test_a_hang_up_that_nohup_ignores_stays_ignored():
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = Process("blocked")
    finally:
        signal.signal(signal.SIGHUP, ignored)
    process.send(signal.SIGHUP)
    process.send(signal.SIGTERM)
    assert process.end()[-1] == "ended"
    assert "SIGTERM: ending the run" in process.log


LEAVES = """
import signal, socket, sys, threading
from tap_autodesk_exports import signals
reader, writer = socket.socketpair()
other = threading.Thread(target=threading.Event().wait, daemon=True)
other.start()
number = int(sys.argv[1])
def send():
    # Python notes a signal that another thread gets. The main one goes on waiting, as it does
    # where a signal comes right before it begins to wait.
    signal.pthread_kill(other.ident, number)
try:
    with signals.leaving():
        threading.Timer(0.2, send).start()
        reader.recv(1)
finally:
    print("its files go", flush=True)
"""


@NUMBERS
def test_a_signal_right_before_a_wait_ends_a_command_that_waits_for_an_answer(number):
    ended = subprocess.run(
        [sys.executable, "-c", LEAVES, str(int(number))],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.stdout == "its files go\n"
    expected = -number if number is signal.SIGINT else 128 + number
    assert ended.returncode == expected, ended.stderr
