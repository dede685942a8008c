"""A ZIP that is damaged: what can be had of it is, and the rest from the tables' own files."""

from __future__ import annotations

import zipfile

import pytest

from support import in_process, processes
from tap_autodesk_exports.autodesk.data_connector.extracts import ZIP
from tap_autodesk_exports.sandbox import Sandbox

DAMAGED = "issues_issues"
LOCAL_HEADER = 30
"""Bytes of a member's header in a ZIP, before its name."""


@pytest.mark.parametrize("where", ["in a member", "at its end"])
def test_a_damaged_zip_costs_no_row_and_no_job(tmp_path, where):
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        groups = ["admin", "issues"]
        config = {
            **sandbox.settings(),
            "apis": ["data_connector"],
            "data_connector_service_groups": groups,
        }
        tables = [
            name for name in sandbox.data_connector.registry if name.partition("_")[0] in groups
        ]
        assert len(tables) > 20  # so many that the ZIP is faster
        catalog = in_process.catalog(config, *tables)
        whole = processes.run_tap(tmp_path, config, catalog=catalog)
        assert whole.code == 0, whole.stderr

        (path,) = [served.path for served in sandbox.served if served.name == ZIP]
        at = path.stat().st_size - 5  # in the directory's end
        if where == "in a member":
            with zipfile.ZipFile(path) as archive:
                member = archive.getinfo(f"{DAMAGED}.csv")
            name_and_middle = len(member.filename) + member.compress_size // 2
            at = member.header_offset + LOCAL_HEADER + name_and_middle
        fault = sandbox.faults.add("corrupt", endpoint="file", path=f"*/{ZIP}", after_bytes=at)
        begun = len(sandbox.served)
        met = processes.run_tap(tmp_path, config, catalog=catalog)
        assert fault.struck
        assert met.code == 0, met.stderr
        for table in tables:
            assert met.records(table) == whole.records(table), table
        assert len(sandbox.exports) == 1
        alone = [served.name for served in sandbox.served[begun:] if served.name.endswith(".csv")]
        if where == "in a member":
            assert f"{DAMAGED}.csv" in alone
            assert "Downloading it again" in met.stderr
