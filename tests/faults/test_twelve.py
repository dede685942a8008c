"""Twelve exports of one API take as long as the slowest of them, at default settings."""

from __future__ import annotations

import os
import random
import subprocess
import time
from typing import Any

import pytest

from support import in_process, processes
from tap_autodesk_exports.sandbox import Sandbox

JOBS = (1, 10, 2, 9, 3, 8, 4, 7, 5, 6, 10, 1)
"""Seconds that the jobs take; those that come when there are no more of them take one."""
SPARE = 3.0
OWN = {
    "fields": ["usageDate", "productName"],
    "metrics": ["tokensConsumed"],
    "usage_category": ["DESKTOP_PRODUCT"],
}

TWELVE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "insights": (
        {
            "apis": ["insights"],
            "insights_export_scope": "all_teams",
            "start_date": "2025-01-01",
            "end_date": "2026-01-01",
        },
        ["insights_usage"],
    ),
    "tokenflex": (
        {
            "apis": ["tokenflex"],
            "tokenflex_exports": [
                {**OWN, "name": f"own_{year}", "where": f"contractYear={year}"}
                for year in range(1, 13)
            ],
        },
        [f"tokenflex_own_{year}" for year in range(1, 13)],
    ),
    "data_connector": (
        {
            "apis": ["data_connector"],
            "data_connector_service_groups": ["activities"],
            "start_date": "2025-01-10",
            "end_date": "2025-12-10",
        },
        ["activities_issues_activities"],
    ),
}


def serve(order: int) -> Sandbox:
    jobs = list(JOBS)
    random.Random(order).shuffle(jobs)  # noqa: S311
    return Sandbox(scale=0.1, job_seconds=lambda: jobs.pop() if jobs else 1)


def timed(folder, config, streams) -> tuple[processes.TapRun, float]:
    """Run the tap; return the run and its seconds, without those that any start of it takes."""
    catalog = in_process.catalog(config, *streams)
    begin = time.monotonic()
    subprocess.check_output([str(processes.BIN / "tap-autodesk-exports"), "--version"])
    started = time.monotonic()
    run = processes.run_tap(folder, config, catalog=catalog)
    return run, (time.monotonic() - started) - (started - begin)


def busy() -> float:
    """Return how many processes want each core, at least 1: work takes so much longer."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.parametrize("api", TWELVE)
def test_twelve_exports_of_an_api_end_with_the_slowest(tmp_path, api):
    config, streams = TWELVE[api]
    with serve(len(api)) as sandbox:
        run, seconds = timed(tmp_path, {**sandbox.settings(), **config}, streams)
        assert run.code == 0, run.stderr
        assert len(sandbox.exports) == len(JOBS)
        begun = [export.created_at for export in sandbox.exports]
        assert (max(begun) - min(begun)).total_seconds() < min(max(JOBS), SPARE)
    assert seconds <= max(JOBS) + SPARE * busy(), run.stderr
