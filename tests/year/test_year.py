"""A year of runs ends where the source ends; `make year` runs all of it, day by day.

In short: a run a week, for eight weeks. YEAR_RUNS says how many runs, a day apart, which then begin
with a backfill of twelve months.
"""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest

from tap_autodesk_exports.sandbox import Sandbox
from year.simulation import STREAMS, Year, YearOfExports
from year.truth import differences

if TYPE_CHECKING:
    from pathlib import Path

    from support.processes import Postgres

RUNS = int(os.environ.get("YEAR_RUNS", "0"))
SHORT = 8


@pytest.mark.timeout(0)
def test_at_the_end_of_the_year_the_warehouse_equals_the_source(
    tmp_path: Path, postgres: Postgres, capsys: pytest.CaptureFixture[str]
):
    step = dt.timedelta(days=1 if RUNS else 7)
    backfill = dt.timedelta(days=365 if RUNS else 60)
    with Sandbox(seed=6, scale=0.1, job_seconds=0.05) as server:
        year = Year(server, tmp_path, postgres, runs=RUNS or SHORT, step=step, backfill=backfill)
        year.live()
        # Three runs fell into the outage; all others loaded everything.
        assert [at for at, code in enumerate(year.codes) if code] == list(year.outage)
        found = differences(year, STREAMS, year.start)
        assert not found, "\n".join(found)
        assert year.most_jobs_in_a_day() < 24
        assert year.stale == []
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{len(year.codes)} runs, {sum(year.sent)} rows, {len(server.exports)} exports, at "
            f"most {year.most_jobs_in_a_day()} Data Connector jobs in a day"
        )


@pytest.mark.timeout(0)
@pytest.mark.skipif(RUNS > 0, reason="A whole year is loaded by the target.")
def test_at_the_end_of_a_year_of_exports_the_warehouse_equals_the_source_too(
    tmp_path: Path, postgres: Postgres
):
    step, backfill = dt.timedelta(days=7), dt.timedelta(days=60)
    with Sandbox(seed=6, scale=0.1, job_seconds=0.05) as server:
        year = YearOfExports(server, tmp_path, postgres, runs=SHORT, step=step, backfill=backfill)
        year.live()
        assert [at for at, code in enumerate(year.codes) if code] == list(year.outage)
        found = differences(year, STREAMS, year.start)
        assert not found, "\n".join(found)
