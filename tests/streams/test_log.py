"""What a run writes to its log: what matters, and little of it."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING

import pytest

from tap_autodesk_exports.loading import report
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

START = f"{dt.datetime.now(dt.UTC) - dt.timedelta(days=25):%Y-%m-%d}"


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


def test_a_run_of_all_streams_in_which_nothing_changed_writes_few_lines(server, run_tap):
    config = {**server.settings(), "start_date": START}
    first = run_tap(config)
    assert first.code == 0, first.stderr
    again = run_tap(config, state=first.state)
    assert again.code == 0, again.stderr
    lines = again.stderr.splitlines()
    assert len(lines) <= 30, again.stderr
    assert again.stderr.count("is left aside") == 1  # the same of each team and month
    (summary,) = re.findall(r"(\d+) loaded, (\d+) unchanged, 0 pending, 0 failed", again.stderr)
    # Listings and what is dated come anew; all tables of the extract are unchanged.
    assert int(summary[1]) > 200
    assert "Skipping deselected" not in first.stderr
    assert "METRIC" not in first.stderr


def test_the_summary_says_where_the_time_went(server, run_tap):
    run = run_tap({**server.settings(), "apis": ["insights"], "start_date": START})
    (line,) = [line for line in run.stderr.splitlines() if " unchanged, " in line]
    assert re.search(
        r"\d+ loaded, 0 unchanged, 0 pending, 0 failed, \d+ s "
        r"\(reading \d+, waiting \d+, writing \d+\), \d+ rows\.$",
        line,
    )


def test_reading_is_what_is_neither_waiting_nor_writing(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    watch = report.Stopwatch()
    with watch.wait():
        now[0] += 97
    with watch.write():
        now[0] += 12
    now[0] += 9
    assert str(watch) == "118 s (reading 9, waiting 97, writing 12)"


@pytest.mark.parametrize(
    ("name", "every_line"), [("log.yml", True), ("tap.5d0c.singer_sdk_logging.json", False)]
)
def test_a_log_configuration_of_the_users_own_gets_every_line(
    server, run_tap, tmp_path, name, every_line
):
    """And the one that Meltano writes for each run gets what a person needs."""
    handler = {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    configuration = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
        "handlers": {"err": handler},
        "root": {"level": "INFO", "handlers": ["err"]},
    }
    file = tmp_path / name
    file.write_text(json.dumps(configuration))
    config = {**server.settings(), "apis": ["insights"], "start_date": START}
    run = run_tap(config, env={"SINGER_SDK_LOG_CONFIG": str(file)})
    assert run.code == 0, run.stderr
    assert ('"metric' in run.stderr.lower()) == every_line
    assert "Beginning sync of" in run.stderr
    assert " loaded, " in run.stderr
