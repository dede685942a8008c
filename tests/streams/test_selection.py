"""Where a project selects nothing, the tap does not run away; where it does, it gets it all."""

from __future__ import annotations

import json

import pytest

from support import in_process
from tap_autodesk_exports.sandbox import Sandbox

STREAMS = ("admin_projects", "activities_admin_activities", "cdcadmin_projects")


@pytest.fixture
def server():
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


def loaded(server, run_tap, select: list[str] | None) -> tuple[set[str], str]:
    config = {
        **server.settings(),
        "apis": ["data_connector"],
        "data_connector_service_groups": ["admin", "activities", "cdcadmin"],
        "start_date": f"{server.clock.now():%Y-%m-%d}",
    }
    env = {} if select is None else {"MELTANO_EXTRACT__SELECT": json.dumps(select)}
    run = run_tap(config, catalog=in_process.catalog(config, *STREAMS), env=env)
    assert run.code == 0, run.stderr
    return set(run.streams), run.stderr


def test_meltanos_default_leaves_out_what_is_not_selected_by_default(server, run_tap):
    streams, log = loaded(server, run_tap, ["*.*"])
    assert streams == {"admin_projects"}
    assert "left out: activities, cdcadmin. To load some of it, name it" in log
    assert {tuple(export.body["serviceGroups"]) for export in server.exports} == {("admin",)}


@pytest.mark.parametrize("select", [["*.*", "activities_*.*"], ["!admin_users.*", "*.*"], None])
def test_a_selection_of_the_users_own_is_followed(server, run_tap, select):
    streams, log = loaded(server, run_tap, select)
    assert streams == set(STREAMS)
    assert "left out" not in log


@pytest.mark.parametrize(
    ("keep", "said"), [(0, "is empty"), (500, "is cut off or damaged: it is not JSON")]
)
def test_a_catalog_that_another_run_was_writing_is_refused(server, tmp_path, run_tap, keep, said):
    text = json.dumps(in_process.catalog(server.settings(), *STREAMS))
    (tmp_path / "cut.json").write_text(text[:keep])
    run = run_tap(server.settings(), "--catalog", str(tmp_path / "cut.json"))
    assert run.code == 1
    (line,) = run.stderr.splitlines()[-1:]
    assert f"cut.json {said}" in line
    assert "Where two runs share a Meltano project" in line
    assert "Traceback" not in run.stderr
    assert server.exports == []


def test_the_catalog_of_another_run_is_refused(server, run_tap):
    """A run that was handed the catalog of its neighbour would load the wrong tables."""
    env = {"MELTANO_EXTRACT__SELECT": json.dumps(["issues_issues.*"])}
    catalog = in_process.catalog(server.settings(), "admin_projects")
    run = run_tap(server.settings(), catalog=catalog, env=env)
    assert run.code == 1
    assert "selects 'admin_projects', and `select` of the project does not" in run.stderr
    assert server.exports == []
