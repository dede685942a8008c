"""`meltano run` that is stopped in the middle: the next run ends as an undisturbed one does.

Meltano keeps the state that a target gives out, which of an interrupted run is often none. So the
next run has to find on the server what the one before requested.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from end_to_end.warehouses import postgres_tables
from support.processes import BIN, clean_environment
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock
from tap_autodesk_exports.settings.config import environment_variables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from end_to_end.meltano_project import MeltanoProject
    from support.processes import Postgres

STREAMS = {
    # Insights does not echo the dates of its reports, so that of those none can be recognised.
    "insights": "insights_users",
    "tokenflex": "tokenflex_usage",
    "data_connector": "issues_issues",
}
NOON = dt.datetime.combine(dt.datetime.now(dt.UTC), dt.time(12), dt.UTC) - dt.timedelta(days=1)
"""Where the clock of each server begins: both serve the same rows, also at midnight."""
PERIOD = {
    "start_date": f"{NOON - dt.timedelta(days=40):%Y-%m-%d}",
    "end_date": f"{NOON - dt.timedelta(days=1):%Y-%m-%d}",
}
OF_THE_RUN = {"_export_id", "_exported_at"}
PATIENCE = 60
MOMENTS: dict[str, Callable[[Sandbox], bool]] = {
    "first request": lambda sandbox: len(sandbox.exports) >= 1,
    "second request": lambda sandbox: len(sandbox.exports) >= 2,
    "all requested": lambda sandbox: {made.api for made in sandbox.exports} == set(STREAMS),
    "polled": lambda sandbox: sum(made.method == "GET" for made in sandbox.requests) >= 12,
    "first file": lambda sandbox: len(files(sandbox)) >= 1,
    "second file": lambda sandbox: len(files(sandbox)) >= 2,
    "third file": lambda sandbox: len(files(sandbox)) >= 3,
    "all files": lambda sandbox: {made.api for made in files(sandbox)} == set(STREAMS),
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
SHORT = {
    ("target-postgres", signal.SIGKILL, "all requested"),
    ("target-jsonl", signal.SIGTERM, "first file"),
}
TRIALS = [
    pytest.param(
        target,
        number,
        moment,
        id=f"{target}-{number.name}-{moment}",
        marks=() if (target, number, moment) in SHORT else pytest.mark.whole,
    )
    for target in ("target-postgres", "target-jsonl")
    for number in SIGNALS
    for moment in MOMENTS
]


@pytest.mark.parametrize(("target", "number", "moment"), TRIALS)
def test_the_next_run_ends_as_an_undisturbed_one_and_requests_nothing_twice(  # noqa: PLR0913, PLR0917
    project: MeltanoProject,
    postgres: Postgres,
    tmp_path: Path,
    target: str,
    number: signal.Signals,
    moment: str,
):
    warehouse = Warehouse(project, target, postgres, tmp_path)
    with running(0.0) as sandbox:
        warehouse.load("undisturbed", sandbox)
        wanted = requested(sandbox)
    with running(1.0) as sandbox:
        warehouse.stop("stopped", sandbox, number, MOMENTS[moment])
        loaded = warehouse.loaded()
        warehouse.load("stopped", sandbox)
        found = requested(sandbox)
    for api, stream in STREAMS.items():
        if stream not in loaded:  # what a saved state says was loaded is loaded again
            assert found[api] == wanted[api], (stream, found, wanted)
    assert warehouse.rows("stopped") == warehouse.rows("undisturbed")


@contextlib.contextmanager
def running(job_seconds: float):
    clock = SandboxClock(NOON)
    with Sandbox(seed=9, scale=0.1, job_seconds=job_seconds, clock=clock) as sandbox:
        yield sandbox


def files(sandbox: Sandbox) -> list[Any]:
    return [served for served in sandbox.served if served.export_id]


def requested(sandbox: Sandbox) -> dict[str, int]:
    return {api: sum(made.api == api for made in sandbox.exports) for api in STREAMS}


class Warehouse:
    """What `meltano run` loads into, one schema or folder for each name."""

    def __init__(
        self, project: MeltanoProject, target: str, postgres: Postgres, folder: Path
    ) -> None:
        self._project, self._target, self._postgres = project, target, postgres
        self._folder = folder
        selected = [f"{stream}.*" for stream in STREAMS.values()]
        project.environment |= {
            "TAP_AUTODESK_EXPORTS__SELECT": json.dumps(selected),
            "TARGET_POSTGRES_SQLALCHEMY_URL": postgres.sqlalchemy_url,
        }

    def _begin(self, name: str, sandbox: Sandbox) -> list[str]:
        self._project.settings = {
            **sandbox.settings(),
            **PERIOD,
            "insights_export_scope": "all_teams",
            "data_connector_extract": "new",
        }
        schema = f"{name}_{self._folder.name}"[:60].replace("-", "_")
        (self._folder / name).mkdir(exist_ok=True)
        self._project.environment |= {
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
            "TARGET_JSONL_DESTINATION_PATH": str(self._folder / name),
        }
        suffix = f"--state-id-suffix={name}"
        # Meltano takes a run that was killed for a running one for five minutes.
        return ["run", "--no-install", "--force", suffix, "tap-autodesk-exports", self._target]

    def load(self, name: str, sandbox: Sandbox) -> None:
        done = self._project.meltano(*self._begin(name, sandbox))
        assert done.returncode == 0, done.stderr[-4000:]

    def stop(
        self, name: str, sandbox: Sandbox, number: signal.Signals, moment: Callable[[Sandbox], bool]
    ) -> None:
        """Run Meltano and send a signal: as a terminal, a scheduler or a machine does."""
        process = subprocess.Popen(
            [str(BIN / "meltano"), *self._begin(name, sandbox)],
            cwd=self._project.folder,
            env={
                **clean_environment(),
                **environment_variables(self._project.settings),
                **self._project.environment,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        until = time.monotonic() + PATIENCE
        while process.poll() is None and not moment(sandbox):
            assert time.monotonic() < until, "The moment did not come."
            time.sleep(0.01)
        if number is signal.SIGTERM:
            process.send_signal(number)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        process.wait(PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what Meltano leaves behind

    def loaded(self) -> set[str]:
        """Return the streams that the state after the interruption calls loaded."""
        name = f"dev:tap-autodesk-exports-to-{self._target}:stopped"
        done = self._project.meltano("state", "get", name)
        try:
            state = json.loads(done.stdout)["singer_state"]["bookmarks"]
        except (ValueError, KeyError):
            return set()
        return {
            stream
            for stream, bookmark in state.items()
            if any(key in str(bookmark) for key in ("'export_id'", "replication_key_value"))
        }

    def rows(self, name: str) -> dict[str, dict[Any, dict[str, Any]]]:
        """Return the last of the rows with each key, by stream."""
        if self._target == "target-jsonl":
            tables = {
                stream: [
                    json.loads(line)
                    for line in (self._folder / name / f"{stream}.jsonl").read_text().splitlines()
                ]
                for stream in STREAMS.values()
            }
        else:
            schema = f"{name}_{self._folder.name}"[:60].replace("-", "_")
            with self._postgres.connect() as connection:
                tables = postgres_tables(connection, schema)
            for stream in STREAMS.values():
                keys = [key_of(row) for row in tables[stream]]
                assert len(keys) == len(set(keys)) > 0, stream
        return {
            stream: {
                key_of(row): {
                    column: value
                    for column, value in row.items()
                    if column not in OF_THE_RUN and not column.startswith("_sdc")
                }
                for row in tables[stream]
            }
            for stream in STREAMS.values()
        }


def key_of(row: dict[str, Any]) -> Any:
    return row.get("issue_id") or row["_row_id"]
