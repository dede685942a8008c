"""Every destination holds the cells of the RECORD messages, with nulls, digits and instants."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from support import exported, in_process
from support.exported import by_key, export, in_postgres, plain
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import Postgres, TapRun

CONFIG = {
    "start_date": "2026-10-01",
    "end_date": "2026-11-20",
    "data_connector_service_groups": ["admin", "issues", "cost"],
}
STREAMS = (
    "insights_contexts",
    "insights_users",
    "insights_usage",
    "tokenflex_contract_years",
    "tokenflex_usage",
    "admin_users",
    "issues_issues",
    "cost_main_contract_items",
)
"""Lists with arrays and with numbers, windows, snapshots with a key and without."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=6, scale=0.2, job_seconds=0) as server:
        yield server


@pytest.fixture(scope="module")
def said(sandbox: Sandbox) -> TapRun:
    """What the tap says of the same streams."""
    run = in_process.run(sandbox, CONFIG, *STREAMS)
    assert run.code == 0, run.log
    return run


@pytest.fixture(scope="module")
def keys(said: TapRun) -> dict[str, tuple[str, ...]]:
    return {m["stream"]: tuple(m["key_properties"]) for m in said.of_type("SCHEMA")}


def expected(said: TapRun, stream: str, key: tuple[str, ...]) -> dict[Any, dict[str, Any]]:
    rows = by_key(said.records(stream), key)
    assert rows
    return rows


def test_duckdb(sandbox, said, keys, tmp_path):
    path = tmp_path / "x.duckdb"
    assert export(sandbox, path, *STREAMS, config=CONFIG).code == 0
    for stream, key in keys.items():
        assert by_key(exported.in_duckdb(path, stream), key) == expected(said, stream, key), stream


def test_postgres(sandbox, said, keys, postgres: Postgres):
    to = exported.address(postgres)
    assert export(sandbox, to, *STREAMS, config=CONFIG, schema="same cells").code == 0
    with postgres.connect() as connection:
        for stream, key in keys.items():
            rows = in_postgres(connection, stream, "same cells")
            assert by_key(rows, key) == expected(said, stream, key), stream


def test_sqlite(sandbox, said, keys, tmp_path):
    path = tmp_path / "x.db"
    assert export(sandbox, f"sqlite:///{path}", *STREAMS, config=CONFIG).code == 0
    for stream, key in keys.items():
        rows = exported.in_sqlite(path, stream)
        types = said.of_type("SCHEMA", stream)[0]["schema"]["properties"]
        for row in rows:
            row.update({n: retyped(row[n], types[n]["type"]) for n in types})
        assert by_key(rows, key) == expected(said, stream, key), stream


def test_a_folder_of_parquet_files(sandbox, said, keys, tmp_path):
    assert export(sandbox, f"{tmp_path}/all/", *STREAMS, config=CONFIG).code == 0
    for stream, key in keys.items():
        rows = exported.in_parquet(tmp_path / "all" / stream / f"{stream}.parquet")
        assert by_key(rows, key) == expected(said, stream, key), stream


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("stream", STREAMS)
def test_json_lines(  # noqa: PLR0913, PLR0917
    sandbox, said, keys, tmp_path, stream, suffix
):
    path = tmp_path / f"x{suffix}"
    assert export(sandbox, path, stream, config=CONFIG).code == 0
    rows = exported.in_json_lines(path)
    assert by_key(rows, keys[stream]) == expected(said, stream, keys[stream])
    assert list(rows[0]) == list(said.records(stream)[0])


@pytest.mark.parametrize("stream", STREAMS)
def test_csv(sandbox, said, keys, tmp_path, stream):
    path = tmp_path / "x.csv"
    assert export(sandbox, path, stream, config=CONFIG).code == 0
    types = said.of_type("SCHEMA", stream)[0]["schema"]["properties"]
    with duckdb.connect() as database:
        relation = database.read_csv(
            str(path), all_varchar=True, header=True, allow_quoted_nulls=False
        )
        rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    typed = [{n: retyped(row[n], types[n]["type"]) for n in row} for row in rows]
    assert by_key(typed, keys[stream]) == expected(said, stream, keys[stream])
    # Another reader finds the same rows, as far as it can: it takes null for "".
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {name: value or "" for name, value in row.items()} for row in rows
        ]


def retyped(value: Any, types: list[str]) -> Any:
    """Return a text as the value that the schema says it is."""
    if value is None:
        return None
    if "number" in types or "integer" in types:
        return Decimal(value)
    if "boolean" in types:
        return {"true": True, "false": False, 1: True, 0: False}[value]
    return plain(value)
