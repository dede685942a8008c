"""Autodesk's exports with many workers: plan, load the shards and the rest side by side, dbt build.

AUTODESK_PROJECT is a Meltano project (docs/scale.md) with load.sh in it. A task that is retried
loads only its own part, from the extract that the plan has requested.
"""

import datetime as dt
import json
import os
import subprocess
from pathlib import Path

from airflow.sdk import dag, task

PROJECT = Path(os.environ.get("AUTODESK_PROJECT", "/opt/autodesk"))
MELTANO = os.environ.get("MELTANO", "venv/bin/meltano")
DBT = os.environ.get("DBT", "venv/bin/dbt")
WORKERS = int(os.environ.get("AUTODESK_WORKERS", "4"))


@dag(
    schedule="15 5 * * *",
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": dt.timedelta(minutes=1)},
)
def autodesk_exports() -> None:
    """Plan, load, build."""

    @task
    def plan() -> list[dict]:
        command = [MELTANO, "invoke", "tap-autodesk-exports:plan", "--workers", str(WORKERS)]
        done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=False)
        planned = json.loads(done.stdout)
        shards = [shard for extract in planned["extracts"] for shard in extract["shards"]]
        return [*shards, *filter(None, [planned["rest"]]), *planned["failed"]]

    @task(map_index_template="{{ part.get('id', part.get('account_id')) }}")
    def load(part: dict) -> None:
        if "error" in part:  # an account without an extract fails alone
            raise RuntimeError(part["error"])
        script = [str(PROJECT / "load.sh"), part["id"]]
        subprocess.run(script, cwd=PROJECT, env={**os.environ, **part["env"]}, check=True)

    @task.bash(cwd=str(PROJECT), append_env=True)
    def build() -> str:
        return f"{DBT} build --project-dir dbt --profiles-dir dbt"

    load.expand(part=plan()) >> build()


autodesk_exports()
