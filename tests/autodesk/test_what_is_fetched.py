"""Of an extract, only what is needed is fetched: some files, or the ZIP where that is faster."""

from __future__ import annotations

import pytest

from support import in_process
from tap_autodesk_exports.autodesk.data_connector import extracts
from tap_autodesk_exports.autodesk.data_connector.extracts import ZIP, is_faster_as_zip
from tap_autodesk_exports.exports.export import ExportFile
from tap_autodesk_exports.sandbox import Sandbox

MB = 1 << 20


def files(tables: int, each: int, whole: int) -> list[ExportFile]:
    """Return a listing of tables of a size, and of a ZIP."""
    listed = [ExportFile(f"table_{n}.csv", size=each) for n in range(tables)]
    return [*listed, ExportFile(ZIP, size=whole)]


@pytest.mark.parametrize(
    ("selected", "each", "whole", "requests_per_minute", "as_zip"),
    [
        (1, MB, 60 * MB, 60, False),  # one table of 230
        (20, 0, MB, 60, False),  # few requests, hardly a byte
        (230, MB // 10, 3 * MB, 60, True),  # small tables: 230 requests are four minutes
        (58, 20 * MB, 800 * MB, 60, True),  # a quarter of an account: 1 160 MB against 800 MB
        (58, 20 * MB, 2400 * MB, 60, False),  # a ZIP that holds ten times as much
        (58, 20 * MB, 2400 * MB, 15, True),  # a worker's share: 212 s of waiting for 124 s of bytes
        (10, 500 * MB, 800 * MB, 60, True),  # few tables, and nearly all bytes
        (10, 50 * MB, 800 * MB, 60, False),
    ],
)
def test_bytes_are_weighed_against_requests(selected, each, whole, requests_per_minute, as_zip):
    names = [f"table_{n}" for n in range(selected)]
    listed = files(230, each, whole)
    assert is_faster_as_zip(listed, names, requests_per_minute) is as_zip


def test_sizes_that_are_not_listed_count_as_nothing():
    listed = [ExportFile("table_1.csv"), ExportFile(ZIP)]
    assert not is_faster_as_zip(listed, ["table_1"], 60)
    assert is_faster_as_zip(listed, [f"table_{n}" for n in range(30)], 60)
    assert not is_faster_as_zip(listed[:1], ["table_1"] * 100, 60)


@pytest.mark.parametrize(("speed", "fetched"), [(50_000, "single files"), (1 << 30, "the ZIP")])
def test_a_worker_fetches_its_own_tables_where_the_zip_is_larger(monkeypatch, speed, fetched):
    """Twenty-five tables of an extract of all groups."""
    monkeypatch.setattr(extracts, "BYTES_A_SECOND", speed)
    with Sandbox(scale=0.3, job_seconds=0) as server:
        _, job_id = server.data_connector.add_extract({})
        tables = sorted(n for n in server.data_connector.registry if n.startswith(("admin", "iss")))
        config = {"apis": ["data_connector"], "data_connector_job_id": job_id}
        run = in_process.run(server, config, *tables[:25])
        assert run.code == 0, run.stderr
        links = [r.path.rpartition("/data/") for r in server.requests]
        names = [name for _, found, name in links if found]
        alone = [f"{name}.csv" for name in tables[:25]]
        assert sorted(names) == ([ZIP] if fetched == "the ZIP" else alone)
