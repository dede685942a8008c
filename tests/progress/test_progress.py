"""While a run waits it says so: a line a minute in a log, a calm display on a terminal."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import re
import subprocess
import threading

import pytest

from support.processes import BIN, clean_environment
from tap_autodesk_exports.progress.facts import Facts, Running
from tap_autodesk_exports.progress.heartbeat import Heartbeat
from tap_autodesk_exports.sandbox import Sandbox

WAITING = Facts(
    is_waiting=True,
    exports=12,
    ready=9,
    running=[
        Running("data_connector", "data_connector export 'extract'", 14 * 60, "running", 45),
        Running("insights", "insights export 'insights_usage'", 60, "SUBMITTED", None),
        Running("insights", "insights export 'insights_users'", 30, "SUBMITTED", None),
    ],
    streams=7,
    failed=0,
    rows=120_000,
    seconds=900,
)


class MinuteClock:
    """A clock that is handed in: after so many waits, the run is over."""

    def __init__(self, waits: int) -> None:
        self.left = waits
        self.asked: list[float] = []

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.asked.append(seconds)
        self.left -= 1
        return self.left < 0 or stop.is_set()


def test_a_wait_of_ten_minutes_writes_ten_lines(caplog):
    caplog.set_level(logging.INFO)
    clock = MinuteClock(10)
    Heartbeat(lambda: WAITING, 60, clock, threading.Event()).run()
    line = (
        "Waiting: 3 of 12 exports running (longest 14 min, Data Connector 45 %), 7 loaded, "
        "120 000 rows"
    )
    assert [record.getMessage() for record in caplog.records] == [line] * 10
    assert set(clock.asked) == {60}
    # With structured logging, the numbers are fields.
    assert caplog.records[0].exports_running == 3
    assert caplog.records[0].rows == 120_000


def test_nothing_is_written_while_nothing_is_waited_for(caplog):
    caplog.set_level(logging.INFO)
    busy = Facts(False, 12, 12, [], 7, 0, 5, 900)  # noqa: FBT003
    Heartbeat(lambda: busy, 60, MinuteClock(10), threading.Event()).run()
    assert caplog.records == []


@pytest.fixture
def config(tmp_path):
    with Sandbox(scale=0.1, job_seconds=3) as server:
        file = tmp_path / "config.json"
        settings = {
            **server.settings(),
            "apis": ["insights", "data_connector"],
            "data_connector_service_groups": ["admin"],
            "start_date": f"{server.clock.now():%Y-%m-01}",
            "heartbeat_seconds": 0.5,
        }
        file.write_text(json.dumps(settings))
        yield file


def test_a_log_has_a_line_now_and_then(config):
    done = subprocess.run(
        [str(BIN / "tap-autodesk-exports"), "--config", str(config)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=True,
    )
    lines = re.findall(r"Waiting: \d+ of \d+ exports running .*", done.stderr)
    assert lines
    assert all(" loaded, " in line for line in lines)


def test_a_terminal_has_a_display_that_vanishes(config, tmp_path):
    main, side = pty.openpty()
    with (tmp_path / "messages").open("wb") as messages:
        process = subprocess.Popen(
            [str(BIN / "tap-autodesk-exports"), "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=side,
            env={**clean_environment(), "TERM": "xterm-256color", "COLUMNS": "120"},
        )
        os.close(side)
        screen = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while chunk := os.read(main, 65536):
                screen += chunk
        assert process.wait(timeout=60) == 0
    os.close(main)
    text = screen.decode(errors="replace")
    assert re.search(r"Exports: \d+ waiting, \d+ running, \d+ ready", text)
    assert re.search(r"insights export 'insights_\w+'.*SUBMITTED", text)
    assert "rows (" in text
    # The cursor is there again, the display's lines are erased, and the summary is the last line.
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert " unchanged, " in text[text.rindex("\x1b[2K") :]
    assert "Waiting:" not in text
    # Nothing of it is among the messages.
    assert all(json.loads(line) for line in (tmp_path / "messages").read_text().splitlines())
