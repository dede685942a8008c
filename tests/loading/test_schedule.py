"""The schedule of a run: what one API or table does wrong costs no other one anything."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from tap_autodesk_exports.autodesk.tokenflex.client import TokenFlex
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIX_WINDOWS = dt.timedelta(days=6 * 29)
STREAMS = (
    "insights_contexts",
    "insights_users",
    "tokenflex_contracts",
    "tokenflex_usage",
    "admin_projects",
)


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture
def answer_contracts(monkeypatch) -> Callable[[Callable[[list[Any]], Any]], None]:
    """Have Token Flex answer something else as its contracts."""
    original = TokenFlex.contracts

    def change(edit: Callable[[list[Any]], Any]) -> None:
        monkeypatch.setattr(TokenFlex, "contracts", lambda self: edit(original(self)))

    return change


def failed(run) -> dict[str, str]:
    """Return stream -> the sentence with which it failed."""
    found = re.findall(r"\| FAILED ([\w, ]+): (.+)", run.stderr)
    return {name.strip(): text for names, text in found for name in names.split(",")}


def without_is_active(contracts: list[Any]) -> list[Any]:
    odd = {"contractNumber": "999", "contractName": "odd"}
    return [*contracts, odd]


def test_an_unexpected_answer_of_one_api_ends_no_stream_of_another(server, answer_contracts):
    """Whatever goes wrong while one API is planned is that API's failure alone."""
    answer_contracts(lambda _: 7)
    run = in_process.run(server, {}, *STREAMS)
    assert run.code == 1
    assert set(failed(run)) == {"tokenflex_contracts", "tokenflex_usage"}
    assert all(run.records(name) for name in STREAMS if not name.startswith("tokenflex"))


def ended_on(day: Any) -> Callable[[list[Any]], list[Any]]:
    """Return what makes the last contract one that ended on a day."""
    return lambda contracts: [
        *contracts,
        {**contracts[0], "contractNumber": "999", "isActive": False, "contractEndDate": day},
    ]


@pytest.mark.parametrize("day", [7, "soon", "2026-02-30", "0001-01-01T00:00:00+10:00"])
def test_a_contract_that_ended_on_no_day_is_reported_and_its_neighbours_load(
    server, answer_contracts, day
):
    answer_contracts(ended_on(day))
    run = in_process.run(server, {}, *STREAMS)
    assert run.code == 1
    (sentence,) = set(failed(run).values())
    assert "Token Flex answered contract 999 with a 'contractEndDate' that is no date" in sentence
    assert set(failed(run)) == {"tokenflex_usage"}
    assert all(run.records(name) for name in STREAMS)


def test_an_odd_contract_is_a_sentence_and_its_neighbours_load(server, answer_contracts):
    answer_contracts(without_is_active)
    run = in_process.run(server, {}, *STREAMS)
    assert run.code == 1
    (sentence,) = set(failed(run).values())
    assert "Token Flex answered a contract (999) without 'isActive'" in sentence
    assert set(failed(run)) == {"tokenflex_usage"}
    assert all(run.records(name) for name in STREAMS)


def test_after_a_failing_table_no_files_of_later_extracts_stay_on_disk(server, monkeypatch):
    """Seven extracts; of the first, a member of the ZIP and every single file are bad."""
    kept: list[str] = []
    close = Workspace.close

    def closing(workspace: Workspace) -> None:
        kept.extend(path.name for path in workspace.path.glob("**/*.zip"))
        close(workspace)

    monkeypatch.setattr(Workspace, "close", closing)
    tables = [name for name in server.data_connector.registry if name.startswith("activities_")]
    at = middle_of(server, tables[0], tables)
    requested = len(server.exports)
    server.faults.add("corrupt", endpoint="file", path="*.zip", after_bytes=at)
    server.faults.add("status", endpoint="link", path="*.csv", status=404, times=None)
    start = server.clock.now() - SIX_WINDOWS
    run = in_process.run(server, {"start_date": f"{start:%Y-%m-%d}"}, *tables)
    assert len(server.exports) == requested + 7
    assert run.code == 1
    assert list(failed(run)) == [tables[0]]
    assert kept == []


def middle_of(server: Sandbox, table: str, tables: list[str]) -> int:
    """Return where a table's data are in the ZIP of an extract; what is before them is constant."""
    in_process.run(server, {"start_date": f"{server.clock.now():%Y-%m-%d}"}, *tables)
    (path,) = [served.path for served in server.served if served.name.endswith(".zip")]
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{table}.csv")
    header = 30 + len(member.filename)
    return member.header_offset + header + member.compress_size // 2
