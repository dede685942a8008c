"""The examples name what there is: types of the Parquet files, tasks, variables, commands."""

from __future__ import annotations

import ast
import re

import duckdb
import pytest

from support import in_process
from support.processes import ROOT
from tap_autodesk_exports.sandbox import Sandbox

PARQUET = ROOT / "examples/s3-parquet"
TABLE = "schedule_schedules"
TEXT, NUMBER, FLAG, TIME = "VARCHAR", "DECIMAL(38,10)", "BOOLEAN", "TIMESTAMP WITH TIME ZONE"
TYPES = {
    "snowflake": {
        "VARCHAR": TEXT,
        "NUMBER(38, 10)": NUMBER,
        "BOOLEAN": FLAG,
        "TIMESTAMP_LTZ(6)": TIME,
    },
    "bigquery": {"STRING": TEXT, "BIGNUMERIC(38, 10)": NUMBER, "BOOL": FLAG, "TIMESTAMP": TIME},
    "redshift": {
        "VARCHAR(65535)": TEXT,
        "VARCHAR(36)": TEXT,
        "VARCHAR(32)": TEXT,
        "DECIMAL(38, 10)": NUMBER,
        "BOOLEAN": FLAG,
        "TIMESTAMP": TIME,
    },
    "databricks": {"STRING": TEXT, "DECIMAL(38, 10)": NUMBER, "BOOLEAN": FLAG, "TIMESTAMP": TIME},
}
"""Warehouse -> its types -> those of the Parquet files, as DuckDB names them."""


@pytest.fixture(scope="module")
def columns(tmp_path_factory) -> list[tuple[str, str]]:
    """The columns of the tap's own Parquet files, in their order."""
    folder = tmp_path_factory.mktemp("parquet")
    storage = {"root": f"file://{folder}"}
    config = {"batch_config": {"encoding": {"format": "parquet"}, "storage": storage}}
    with Sandbox(scale=0.1, job_seconds=0) as server:
        assert in_process.run(server, config, TABLE).code == 0
    (file,) = folder.iterdir()
    assert re.fullmatch(rf"tap-autodesk-exports--{TABLE}-.*\.parquet", file.name)
    relation = duckdb.read_parquet(str(file))
    return [
        (name, str(type_)) for name, type_ in zip(relation.columns, relation.types, strict=True)
    ]


@pytest.mark.parametrize("warehouse", TYPES)
def test_a_warehouse_has_the_columns_and_types_of_the_files(warehouse, columns):
    text = (PARQUET / f"{warehouse}.sql").read_text()
    body = re.search(r"schedule_schedules \(\n(.*?)\n\);", text, re.DOTALL)
    assert body
    declared = [line.strip().removesuffix(",").split(" ", 1) for line in body[1].splitlines()]
    assert [(name, TYPES[warehouse][type_]) for name, type_ in declared] == columns
    assert "--schedule_schedules-" in text


def test_the_dag_is_short_and_calls_what_there_is():
    text = (ROOT / "examples/airflow/autodesk_exports.py").read_text()
    ast.parse(text)
    assert len(text.splitlines()) <= 60
    assert "tap-autodesk-exports:plan" in text
    assert 'PROJECT / "load.sh"' in text
    assert (ROOT / "examples/airflow/load.sh").stat().st_mode & 0o111
