"""`hash_personal_data: true`: no person is in the output, in any stream, and tables still join."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tap_autodesk_exports.autodesk.personal import is_personal
from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = {
    "assignee_type",
    "ball_in_court_roles",
    "ball_in_court_companies",
    "presets",
    "signed_company",
}
"""Columns that say what somebody is and not who; the sandbox makes their values up at random."""
OF_RUNS = {
    "insights_exports",
    "tokenflex_export_requests",
    "data_connector_requests",
    "data_connector_jobs",
    "data_connector_files",
}
"""Lists that hold what both runs requested."""
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def runs(server, tmp_path_factory):
    """All streams of the default selection, plain and hashed."""
    from support import processes

    start = {"start_date": f"{server.clock.now():%Y-%m-01}", "data_connector_extract": "auto"}
    hashed = {"hash_personal_data": True, "hash_key": "0123456789abcdef0123"}
    folder = tmp_path_factory.mktemp("runs")
    found = [
        processes.run_tap(folder, {**server.settings(), **start, **config})
        for config in ({}, hashed)
    ]
    assert [run.code for run in found] == [0, 0], found[0].stderr[-3000:]
    return found


def test_no_address_and_no_id_of_a_person_is_in_the_output(runs):
    plain, hashed = runs
    said = json.dumps(plain.messages, default=str)
    people = set(ADDRESS.findall(said))
    people |= {
        name
        for stream in ("admin_users", "insights_users")
        for row in plain.records(stream)
        if (found := row.get("autodesk_id"))
        for name in (found,)
    }
    assert len(people) > 20
    for message in hashed.messages:
        if message["type"] == "RECORD":
            values = " ".join(map(str, message["record"].values()))
            assert not ADDRESS.search(values), message["stream"]
    records = [
        {name: value for name, value in message["record"].items() if name not in TYPES}
        for message in hashed.messages
        if message["type"] == "RECORD"
    ]
    text = json.dumps(records, default=str)
    words = set(re.findall(r"[\w@.+-]+", text))
    assert people & words == set()
    assert not ADDRESS.search(hashed.stderr)


def test_tables_can_still_be_joined_by_a_person(runs):
    plain, hashed = runs

    def joined(run) -> int:
        ids = {row["autodesk_id"] for row in run.records("admin_users")}
        issues = run.records("issues_issues")
        return sum(row["created_by"] in ids for row in issues)

    assert joined(plain) == joined(hashed) > 0


def test_the_same_rows_arrive(runs):
    plain, hashed = runs
    counts = [
        {name: len(run.records(name)) for name in run.streams if name not in OF_RUNS}
        for run in runs
    ]
    assert {*plain.streams} == {*hashed.streams}
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "name",
    [
        "email",
        "Email",
        "email#2",
        "EMAIL_ADDRESS",
        "E-mail address".replace("E-mail", "Email"),
        "userName",
        "User name",
        "machineName",
        "autodesk_id",
        "Autodesk ID",
        "createdByEmail",
        "created_by",
        "object_deleted_entity_deleted_by",
        "lastModifiedUserName",
        "First name",
    ],
)
def test_a_personal_column_is_known_in_any_spelling(name):
    assert is_personal(name)


@pytest.mark.parametrize(
    "name",
    ["company_oxygen_id", "role_oxygen_id", "created_at", "name", "team_alias", "usageDate", "by"],
)
def test_what_is_no_persons_is_left_alone(name):
    assert not is_personal(name)


def test_every_api_says_which_of_its_columns_are_personal():
    for api, entry in SOURCES.items():
        datasets = list(entry.datasets(Settings(), None))
        personal = [
            f"{dataset.name}.{column}"
            for dataset in datasets
            for column in dataset.columns
            if dataset.is_personal(column)
        ]
        assert personal, api
    assert "tokenflex_desktop_sessions.machineName" in [
        f"{dataset.name}.{column}"
        for dataset in SOURCES["tokenflex"].datasets(Settings(), None)
        for column in dataset.columns
        if dataset.is_personal(column)
    ]
