"""The examples for many machines, as they stand: `make scale` sets up what they need and runs this.

Airflow from a package registry loads PostgreSQL with two workers out of one extract; BATCH Parquet
goes to an S3 server and is read back.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from served import by_stream

from end_to_end.warehouses import differences, postgres_tables
from support import in_process
from support.processes import BIN, ROOT, clean_environment
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings.config import environment_variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from end_to_end.meltano_project import MeltanoProject
    from support.processes import Postgres

AIRFLOW = ROOT / ".scale/airflow/bin"
TAP = ROOT / ".scale/tap/bin"
EXAMPLE = ROOT / "examples/airflow"
DBT = ROOT / ".meltano/utilities/dbt-duckdb/venv/bin/dbt"
SCHEMA = "autodesk"
pytestmark = [
    pytest.mark.whole,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not AIRFLOW.is_dir(), reason="`make scale` sets up what this needs"),
]


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(seed=6, scale=0.3, job_seconds=2) as sandbox:
        yield sandbox


@pytest.fixture
def environment(
    project: MeltanoProject, postgres: Postgres, server: Sandbox, tmp_path: Path
) -> dict[str, str]:
    """What the DAG and its script find in their environment."""
    shutil.copy(EXAMPLE / "load.sh", project.folder)
    shutil.copytree(ROOT / "dbt", project.folder / "dbt")
    with postgres.connect() as warehouse:
        warehouse.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    settings = {
        **server.settings(),
        "start_date": f"{server.clock.now():%Y}-01-01",
        "insights_export_scope": "all_teams",
    }
    return {
        **clean_environment(),
        **environment_variables(settings),
        **project.environment,
        "TARGET_POSTGRES_SQLALCHEMY_URL": postgres.sqlalchemy_url,
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": SCHEMA,
        "AUTODESK_PROJECT": str(project.folder),
        "AUTODESK_WORKERS": "2",
        "MELTANO": str(BIN / "meltano"),
        "DBT": str(DBT),
        "DBT_TARGET": "postgres",
        "PGHOST": str(postgres.folder),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLE),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": f"{AIRFLOW}:{os.environ['PATH']}",
    }


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done


def extracts(server: Sandbox) -> int:
    """Return how many extracts were requested of the Data Connector."""
    return sum(export.api == "data_connector" for export in server.exports)


def test_airflow_loads_postgres_with_two_workers_from_one_extract(
    environment: dict[str, str],
    server: Sandbox,
    postgres: Postgres,
    catalog: dict[str, dict[str, str]],
):
    run(environment, "airflow", "db", "migrate")
    done = run(environment, "airflow", "dags", "test", "autodesk_exports")
    assert "state=failed" not in done.stdout
    assert extracts(server) == 1
    served = by_stream(server.url, server.token)
    with postgres.connect() as warehouse:
        tables = postgres_tables(warehouse, SCHEMA)
        marts = postgres_tables(warehouse, "answers")
    assert {stream for stream, of_stream in served.items() if of_stream.files} <= set(tables)
    assert differences(served, tables, catalog) == []
    assert marts


def test_a_worker_that_is_killed_and_retried_loads_only_its_own_shard(
    environment: dict[str, str],
    server: Sandbox,
    postgres: Postgres,
    project: MeltanoProject,
):
    environment["TAP_AUTODESK_EXPORTS__SELECT"] = json.dumps(["admin_*.*", "issues_*.*"])
    meltano = str(BIN / "meltano")
    plan = [meltano, "invoke", "tap-autodesk-exports:plan", "--workers", "2"]
    done = subprocess.run(
        plan, cwd=project.folder, env=environment, capture_output=True, check=True
    )
    first, second = json.loads(done.stdout)["extracts"][0]["shards"]
    load(environment, second).communicate()
    killed = load(environment, first)
    deadline = time.monotonic() + 300
    while not rows(postgres, first):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    begun = len(server.requests)
    retried = load(environment, first)
    log, _ = retried.communicate()
    assert retried.returncode == 0, log[-5000:]
    links = [r.path.rpartition("/data/")[2] for r in server.requests[begun:] if "/data/" in r.path]
    mine = {f"{table['name']}.csv" for table in first["tables"]}
    assert set(links) <= {*mine, "autodesk_data_extract.zip"}
    assert extracts(server) == 1
    names = [table["name"] for shard in (first, second) for table in shard["tables"]]
    whole = in_process.run(server, {"data_connector_extract": "latest"}, *names)
    assert rows(postgres, first) + rows(postgres, second) == Counter(
        {name: len(whole.table(name)) for name in names}
    )


def load(environment: dict[str, str], part: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(EXAMPLE / "load.sh"), part["id"]],
        env={**environment, **part["env"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )


def rows(postgres: Postgres, part: dict[str, Any]) -> Counter[str]:
    """Return the number of rows of each table of a part."""
    with postgres.connect() as warehouse:
        tables = postgres_tables(warehouse, SCHEMA)
    names = [table["name"] for table in part["tables"]]
    return Counter({name: len(tables[name]) for name in names if tables.get(name)})


@pytest.fixture
def bucket() -> Iterator[str]:
    """The address of an S3 server with a bucket `autodesk`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(AIRFLOW / "moto_server"), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as moto:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
        moto.terminate()


def test_parquet_goes_to_a_bucket_and_is_read_back_row_by_row(
    server: Sandbox, bucket: str, tmp_path: Path
):
    names = ["admin_projects", "issues_issues", "issues_comments", "schedule_schedules"]
    groups = {"data_connector_service_groups": ["admin", "issues", "schedule"]}
    settings = {**server.settings(), **groups}
    (tmp_path / "catalog.json").write_text(json.dumps(in_process.catalog(settings, *names)))
    environment = {
        **clean_environment(),
        **environment_variables(settings),
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": bucket,
        "CATALOG": "catalog.json",
        "TAP": str(TAP / "tap-autodesk-exports"),
        "PYTHON": str(TAP / "python"),
    }
    make = "import s3fs; s3fs.S3FileSystem().mkdir('autodesk')"
    subprocess.run([str(TAP / "python"), "-c", make], env=environment, check=True)
    for number in (1, 2):
        done = subprocess.run(
            [str(ROOT / "examples/s3-parquet/load.sh"), f"s3://autodesk/run{number}"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
    read = """
import collections, json, duckdb, s3fs
found, files = collections.Counter(), s3fs.S3FileSystem()
for path in files.ls("autodesk/run1"):
    files.get(path, "part.parquet")
    rows = duckdb.sql("SELECT count(DISTINCT _row_id) FROM 'part.parquet'").fetchall()[0][0]
    found[path.split("--")[1].split("-")[0]] += rows
print(json.dumps([found, files.exists("autodesk/run2")]))
"""
    printed = subprocess.run(
        [str(TAP / "python"), "-c", read],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    found, has_second = json.loads(printed.stdout)
    whole = in_process.run(server, {**groups, "data_connector_extract": "latest"}, *names)
    assert found == {name: len(whole.table(name)) for name in names}
    assert not has_second  # the state says that all of it was loaded
    assert extracts(server) == 1
