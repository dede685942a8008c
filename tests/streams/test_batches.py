"""BATCH messages: the files hold the records that RECORD messages would have held."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.parquet
import pytest

from support import in_process
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.streams.batch_files import new_file
from tap_autodesk_exports.streams.sdk import StorageTarget
from tap_autodesk_exports.tap import TapAutodeskExports

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = ["admin_users", "admin_projects"]
CONFIG = {"apis": ["data_connector"], "data_connector_service_groups": ["admin"]}


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.5, job_seconds=0) as sandbox:
        yield sandbox


def batch_config(folder: Path, size: int = 7, **encoding: str) -> dict[str, Any]:
    return {
        "batch_config": {
            "encoding": encoding,
            "storage": {"root": folder.as_uri(), "prefix": "part-"},
            "batch_size": size,
        }
    }


def paths(run, stream: str) -> list[Path]:
    return [
        Path(url2pathname(urlsplit(url).path))
        for message in run.of_type("BATCH", stream)
        for url in message["manifest"]
    ]


def comparable(rows) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_json_lines_hold_the_records(server, run_tap, tmp_path, compression):
    config = {**server.settings(), **CONFIG}
    records = run_tap(config)
    batch = batch_config(tmp_path / "files", format="jsonl", compression=compression)
    run = run_tap({**config, **batch})
    assert run.code == 0, run.stderr
    assert run.of_type("RECORD", "admin_users") == []
    for stream in STREAMS:
        files = paths(run, stream)
        unpack = gzip.decompress if compression == "gzip" else bytes
        texts = [unpack(path.read_bytes()).decode() for path in files]
        assert all(text.count("\n") == 7 for text in texts[:-1])
        rows = [
            json.loads(line, parse_float=Decimal)
            for text in texts
            for line in text.split("\n")
            if line
        ]
        assert comparable(rows) == comparable(records.records(stream))


def test_parquet_holds_the_records_with_real_types(server, run_tap, tmp_path):
    config = {**server.settings(), **CONFIG}
    records = run_tap(config)
    run = run_tap({**config, **batch_config(tmp_path / "files", size=2048, format="parquet")})
    assert run.code == 0, run.stderr
    (path,) = paths(run, "admin_users")
    table = pyarrow.parquet.read_table(path)
    types = {field.name: str(field.type) for field in table.schema}
    assert types["created_at"].startswith("timestamp[us, tz=")
    assert types["access_level_executive"] == "bool"
    assert types["name"] == "string"
    expected = {row["id"]: row for row in records.records("admin_users")}
    for row in table.to_pylist():
        record = expected[row["id"]]
        assert row["_row_id"] == record["_row_id"]
        assert row["access_level_executive"] == record["access_level_executive"]
        assert f"{row['created_at']:%Y-%m-%dT%H:%M:%S.%fZ}" == record["created_at"]


@pytest.mark.parametrize("encoding", ["jsonl", "parquet"])
def test_rows_bear_the_version_that_is_activated(server, run_tap, tmp_path, encoding):
    # Targets delete rows without it: it is all that tells them from those of an older version.
    batch = batch_config(tmp_path / "files", size=2048, format=encoding)
    versions = {"emit_activate_version_messages": True}
    run = run_tap({**server.settings(), **CONFIG, **batch, **versions})
    assert run.code == 0, run.stderr
    (activated,) = run.of_type("ACTIVATE_VERSION", "admin_users")
    found = set()
    for path in paths(run, "admin_users"):
        if encoding == "parquet":
            rows = pyarrow.parquet.read_table(path).to_pylist()
        else:
            rows = [json.loads(line) for line in path.read_text().splitlines()]
        found |= {int(row["_sdc_table_version"]) for row in rows}
    assert found == {activated["version"]}


def test_a_state_follows_each_file(server, run_tap, tmp_path):
    batch = batch_config(tmp_path / "files", format="jsonl", compression="gzip")
    run = run_tap({**server.settings(), **CONFIG, **batch})
    kinds = [message["type"] for message in run.messages]
    followers = [kinds[at + 1] for at, kind in enumerate(kinds) if kind == "BATCH"]
    assert followers
    assert set(followers) == {"STATE"}


def test_stream_maps_turn_batches_into_records(server, run_tap, tmp_path):
    batch = batch_config(tmp_path / "files", format="jsonl", compression="gzip")
    maps = {"stream_maps": {"admin_users": {"shouted": "name.upper()"}}}
    run = run_tap({**server.settings(), **CONFIG, **batch, **maps})
    assert run.code == 0, run.stderr
    assert run.of_type("BATCH", "admin_users") == []
    assert all(row["shouted"] == row["name"].upper() for row in run.records("admin_users"))
    assert run.of_type("BATCH", "admin_projects")


def test_a_format_that_nobody_writes_is_told(server, run_tap, tmp_path):
    batch = batch_config(tmp_path / "files", format="parquet", compression="gzip")
    run = run_tap({**server.settings(), **CONFIG, **batch})
    assert run.code == 1
    assert "'batch_config' asks for parquet with compression 'gzip'" in run.stderr


WRONG = {
    "no root": {"encoding": {"format": "jsonl"}, "storage": {}},
    "a root that is empty": {"encoding": {"format": "jsonl"}, "storage": {"root": " "}},
    "no storage": {"encoding": {"format": "jsonl"}},
    "no encoding": {"storage": {"root": "files"}},
    "no format": {"encoding": {}, "storage": {"root": "files"}},
    "parameters that are text": {
        "encoding": {"format": "jsonl"},
        "storage": {"root": "files", "params": "key=value"},
    },
    "no rows": {"encoding": {"format": "jsonl"}, "storage": {"root": "files"}, "batch_size": 0},
    "a name that nobody knows": {
        "encoding": {"format": "jsonl", "level": 3},
        "storage": {"root": "files"},
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_a_batch_config_that_is_none_is_one_sentence(server, name):
    with pytest.raises(ConfigurationError, match="Setting 'batch_config"):
        TapAutodeskExports(config={**server.settings(), **CONFIG, "batch_config": WRONG[name]})


@pytest.mark.parametrize(
    ("format_", "root"),
    [
        ("jsonl", "FILE/nowhere"),
        ("parquet", "FILE"),
        ("jsonl", "nothing://bucket"),
        ("parquet", "nothing://key:hidden@bucket"),
    ],
)
def test_a_storage_that_cannot_be_written_is_one_sentence_without_its_keys(
    server, tmp_path, format_, root
):
    (tmp_path / "file").touch()
    root = root.replace("FILE", (tmp_path / "file").as_uri())
    batch = {"encoding": {"format": format_}, "storage": {"root": root}}
    run = in_process.run(server, {**CONFIG, "batch_config": batch}, *STREAMS)
    assert run.code == 1
    assert "No file can be written to the storage that 'storage.root'" in run.stderr
    assert "hidden" not in run.stderr
    assert "Traceback" not in run.stderr


def write_until_it_is_full(storage: StorageTarget, name: str) -> None:
    with new_file(storage, name) as file:
        file.write(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
def test_a_storage_that_fills_up_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, format_):
    folder, temporary = tmp_path / "files", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    storage = StorageTarget(folder.as_uri())
    with pytest.raises(TapError, match=r"names .No space left on device") as raised:
        write_until_it_is_full(storage, f"a.{format_}")
    assert "'batch_config'" in str(raised.value)
    with new_file(storage, "b") as file:
        file.write(b"whole")
    assert [path.name for path in folder.iterdir()] == ["b"]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("of_a_map", "error"),
    [
        ({"__filter__": "1/0"}, "ZeroDivisionError"),
        ({"__filter__": "nothing"}, "NameNotDefined|Failed to evaluate"),
        ({"a": "int(name)"}, "ValueError"),
        ({"a": "name.nothing()"}, "Failed to evaluate"),
    ],
)
def test_a_map_that_fails_is_one_sentence_without_the_row(server, of_a_map, error):
    run = in_process.run(server, {**CONFIG, "stream_maps": {"admin_users": of_a_map}}, *STREAMS)
    assert run.code == 1
    assert re.search(rf"'stream_maps' cannot be (applied to a row|used).*({error})", run.stderr)
    assert "Traceback" not in run.stderr
    assert run.records("admin_projects")


@pytest.mark.parametrize(
    ("numbers", "type_"),
    [
        (None, pa.decimal128(38, 10)),
        ("decimal(38,15)", pa.decimal128(38, 15)),
        ("text", pa.string()),
    ],
)
def test_numbers_in_parquet_have_the_type_of_the_setting(server, run_tap, tmp_path, numbers, type_):
    config = {**server.settings(), **CONFIG, "parquet_numbers": numbers}
    if numbers is None:
        del config["parquet_numbers"]
    run = run_tap({**config, **batch_config(tmp_path / "files", size=2048, format="parquet")})
    assert run.code == 0, run.stderr
    (path,) = paths(run, "admin_projects")
    assert pyarrow.parquet.read_schema(path).field("value").type == type_


@pytest.mark.parametrize("numbers", ["decimal(10,2)", "decimal(38,38)", "text"])
def test_the_version_of_a_row_is_an_integer_whatever_type_numbers_have(
    server, run_tap, tmp_path, numbers
):
    config = {**server.settings(), **CONFIG, "parquet_numbers": numbers}
    config["emit_activate_version_messages"] = True
    run = run_tap({**config, **batch_config(tmp_path / "files", size=2048, format="parquet")})
    assert "_sdc_table_version" not in run.stderr
    (path,) = paths(run, "admin_users")
    assert pyarrow.parquet.read_schema(path).field("_sdc_table_version").type == pa.int64()


@pytest.mark.parametrize(("setting", "format_"), [("text", None), ("time", "time")])
def test_a_time_of_day_has_the_format_that_the_setting_says(server, setting, format_):
    config = {**server.settings(), "apis": ["data_connector"], "time_columns": setting}
    tap = TapAutodeskExports(config=config)
    streams = {stream["stream"]: stream["schema"] for stream in tap.catalog_dict["streams"]}
    hour = streams["forms_weather_hours"]["properties"]["hour"]
    assert hour["type"] == ["string", "null"]
    assert hour.get("format") == format_


def test_a_run_with_batches_warns_once_that_some_targets_skip_them(server, run_tap, tmp_path):
    config = {**server.settings(), **CONFIG}
    assert "skip them without an error" not in run_tap(config).stderr
    (tmp_path / "files").mkdir()
    batch = batch_config(tmp_path / "files", format="jsonl", compression="gzip")
    run = run_tap({**config, **batch})
    assert run.stderr.count("skip them without an error") == 1
