"""`autodesk-exports export`: what it takes, what it says, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest
from click.testing import CliRunner

from destinations.conftest import STREAM, place
from support.exported import export, in_parquet
from support.processes import BIN, clean_environment
from tap_autodesk_exports.cli import main
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.destinations import address, process
from tap_autodesk_exports.destinations.destination import DestinationError
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from destinations.conftest import Source

ID = "00000000-0000-4000-8000-000000000001"
PASSWORD = "s3cret-w0rd"


def command(tmp_path: Path, source: Source, *arguments: str) -> tuple[int, str]:
    """Run the command as far as it comes without requesting anything."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**source.sandbox.settings(), **source.config()}))
    done = CliRunner().invoke(main, ["export", *arguments, "--config", str(config)])
    assert "Traceback" not in done.output
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((STREAM, "--to", "x.xlsx"), "'x.xlsx' is no destination: give a file"),
        ((STREAM, "--to", "ftp://somewhere"), "'ftp://' is no destination"),
        (("--to", "users.csv"), "users.csv holds one stream, and"),
        (("cost_*", "--to", "users.csv"), "users.csv holds one stream, and"),
        (("cost_main", "--to", "x.csv"), "No stream is called 'cost_main'"),
        ((STREAM, "--to", "snowflake://me:x@there/db"), "tap-autodesk-exports[snowflake]"),
        ((STREAM, "--to", "bigquery://there"), "tap-autodesk-exports[bigquery]"),
        ((STREAM, "--to", "s3://bucket/folder"), "tap-autodesk-exports[s3]"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(tmp_path, source: Source, arguments, sentence):
    source.write([{"id": ID}])
    code, said = command(tmp_path, source, *arguments)
    assert code == 1
    assert sentence in said
    assert len(source.sandbox.exports) == 0


def test_a_server_that_is_not_there_is_a_sentence_without_the_password(tmp_path, source: Source):
    to = f"postgresql://me:{PASSWORD}@127.0.0.1:1/none"
    code, said = command(tmp_path, source, STREAM, "--to", to)
    assert code == 1
    assert "postgresql://127.0.0.1:1/none cannot be reached" in said
    assert PASSWORD not in said


def test_a_program_ends_in_rows_and_says_so(tmp_path, source: Source):
    source.write([{"id": ID, "name": "a"}])
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**source.sandbox.settings(), **source.config()}))
    done = subprocess.run(
        [str(BIN / "autodesk-exports"), "export", STREAM, "--to", "x.csv", "--config", str(config)],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 loaded, 0 unchanged, 0 pending, 0 failed" in done.stderr
    assert done.stdout == ""
    assert (tmp_path / "x.csv").read_text().count("\n") == 2


def test_a_dry_run_says_what_would_be_done_and_does_nothing(tmp_path, source: Source):
    source.write([{"id": ID}])
    for to in ("x.csv", "x.duckdb", "folder/"):
        code, said = command(tmp_path, source, STREAM, "--to", f"{tmp_path}/{to}", "--dry-run")
        assert code == 0, said
        assert f"{STREAM}: data_connector export 'extract'" in said
        assert "1 to request, 0 pending from an earlier run. Nothing was requested" in said
        assert not (tmp_path / to).exists()
    assert len(source.sandbox.exports) == 0


def test_a_dry_run_knows_what_is_loaded(tmp_path, source: Source):
    source.write([{"id": ID}])
    where = place("duckdb", tmp_path, None)
    assert where.load(source).code == 0
    before = (tmp_path / "x.duckdb").read_bytes()
    streams = [STREAM, "data_connector_jobs"]
    code, said = command(tmp_path, source, *streams, "--to", where.to, "--dry-run")
    assert code == 0
    assert "data_connector_jobs: a list, read at once" in said
    assert (tmp_path / "x.duckdb").read_bytes() == before


def test_streams_are_named_by_patterns(tmp_path, source: Source):
    for name in ("cost_budgets", STREAM, "activities_cost_changes"):
        source.write([{"id": ID}], name)
    path = tmp_path / "x.duckdb"
    config = source.config(data_connector_service_groups=["cost", "activities"])
    run = export(source.sandbox, path, "cost_*budgets", "data_connector_jobs", config=config)
    assert tables(path) == {"cost_budgets", "data_connector_jobs"}, run.log


def tables(path: Path) -> set[str]:
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return {name for (name,) in found} - {"_autodesk_exports_state"}


# Files that somebody else has written


def test_a_file_that_no_export_has_written_is_not_overwritten(tmp_path, source: Source):
    path = tmp_path / "x.csv"
    path.write_text("mine\n1\n")
    source.write([{"id": ID}])
    run = export(source.sandbox, path, STREAM, config=source.config())
    assert run.code == 1
    assert "'x.csv' was not written by the last export" in run.log
    assert path.read_text() == "mine\n1\n"


def test_a_file_that_was_changed_is_not_overwritten(tmp_path, source: Source):
    path = tmp_path / "x.csv"
    source.write([{"id": ID}])
    assert export(source.sandbox, path, STREAM, config=source.config()).code == 0
    path.write_text("changed\n")
    run = export(source.sandbox, path, STREAM, config=source.config())
    assert run.code == 1
    assert "'x.csv' was changed since the last export" in run.log
    assert path.read_text() == "changed\n"
    path.unlink()
    run = export(source.sandbox, path, STREAM, config=source.config())
    assert run.code == 0
    assert "its file is gone, so all of it is loaded again" in run.log
    assert path.read_text().count("\n") == 2


@pytest.mark.parametrize("kind", ["csv", "duckdb"])
def test_a_state_that_cannot_be_read_is_a_sentence(kind, tmp_path, source: Source):
    source.write([{"id": ID}])
    where = place(kind, tmp_path, None)
    assert where.load(source).code == 0
    if kind == "csv":
        (tmp_path / "x.csv.state.json").write_text("nonsense")
    else:
        with duckdb.connect(where.to) as database:
            database.execute("UPDATE _autodesk_exports_state SET state = 'nonsense'")
    with pytest.raises(DestinationError, match="state that the destination keeps cannot be read"):
        where.load(source)


def test_a_bucket_holds_what_a_folder_holds(tmp_path, source: Source, monkeypatch):
    import fsspec

    monkeypatch.setitem(address.STORAGES, "memory", "")
    source.write([{"id": ID, "name": "a"}])
    to = "memory://bucket/folder"
    for _ in range(2):
        assert export(source.sandbox, to, STREAM, config=source.config()).code == 0
    source.write([{"id": ID, "name": "b"}])
    assert export(source.sandbox, to, STREAM, config=source.config()).code == 0
    fs = fsspec.filesystem("memory")
    fs.get_file(f"/bucket/folder/{STREAM}/{STREAM}.parquet", str(tmp_path / "x.parquet"))
    assert [row["name"] for row in in_parquet(tmp_path / "x.parquet")] == ["b"]
    found = sorted(fs.find("/bucket/folder"))
    assert found == [
        "/bucket/folder/_autodesk_exports_state.json",
        f"/bucket/folder/{STREAM}/{STREAM}.parquet",
    ]


def test_bad_settings_are_a_sentence(tmp_path):
    order = process.Order({"apis": ["insights"]}, str(tmp_path / "x.csv"), ["insights_users"])
    with pytest.raises(TapError, match="client_id"):
        process.export(order, Clock(), is_program=False)
    assert "singer_sdk.tap_base" in sys.modules  # settings are read by the SDK's own function


def test_a_signal_ends_it_and_what_was_requested_stays_pending(tmp_path):
    with Sandbox(seed=2, scale=0.1, job_seconds=600) as sandbox:
        config = tmp_path / "config.json"
        config.write_text(json.dumps({**sandbox.settings(), "apis": ["insights"]}))
        arguments = ["insights_users", "--to", "x.duckdb", "--config", str(config)]
        with subprocess.Popen(
            [str(BIN / "autodesk-exports"), "export", *arguments],
            cwd=tmp_path,
            env=clean_environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stderr is not None
            said = ""
            while said.count("Requested the insights export") < 3:
                said += running.stderr.readline()
            running.send_signal(signal.SIGTERM)
            said += running.stderr.read()
        assert running.returncode == 128 + signal.SIGTERM
        assert "1 pending" in said
        requested = len(sandbox.exports)
        done = CliRunner().invoke(
            main, ["export", *arguments[:2], f"{tmp_path}/x.duckdb", *arguments[3:], "--dry-run"]
        )
        assert f"0 to request, {requested} pending from an earlier run" in done.output
