"""An extract is used again only where all that is said of it is understood and covers all."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from support.sandbox_client import Client
from tap_autodesk_exports.autodesk.data_connector.client import Job, Request
from tap_autodesk_exports.autodesk.data_connector.existing import Extract, Wanted
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import TapRun

NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ONE = "11111111-aaaa-4111-8111-111111111111"
TWO = "22222222-aaaa-4222-8222-222222222222"
ONLY = {"apis": ["data_connector"]}
TABLE = "issues_issue_types"
ACTIVITIES = "activities_issues_activities"


# --- what is said of an extract ----------------------------------------------------------------


def extract(request: dict[str, Any], job: dict[str, Any] | None = None) -> Extract:
    asked = {"id": "r", "serviceGroups": ["issues", "admin"], "projectIdList": None, **request}
    done = {
        "id": "j",
        "requestId": "r",
        "status": "complete",
        "completionStatus": "success",
        "createdAt": "2026-06-15T03:00:00Z",
        "startedAt": "2026-06-15T03:05:00Z",
        **(job or {}),
    }
    return Extract(Request.read(asked), Job.read(done))


def lacks(  # noqa: PLR0913
    request: dict[str, Any],
    job: dict[str, Any] | None = None,
    *,
    group: str = "issues",
    projects: tuple[str, ...] = (),
    status: str = "all",
    since: dt.datetime | None = None,
) -> str | None:
    return Wanted(frozenset({group}), projects, status, since).lacks(extract(request, job))


@pytest.mark.parametrize(
    ("request_", "job"),
    [
        ({}, {}),
        ({"serviceGroups": ["ALL"]}, {}),
        ({"serviceGroups": '["Issues"]'}, {}),
        ({"projectIdList": []}, {"projectIdList": "[]"}),
        ({"projectIdList": "null", "projectId": ""}, {"projectId": None}),
        ({"projectStatus": "ALL"}, {"projectStatus": "all"}),
        ({"startDate": "2026-01-01T00:00:00Z", "dateRange": "YESTERDAY"}, {}),  # for what is dated
        ({"description": "x", "reoccuringInterval": 3, "callbackUrl": "https://x"}, {}),
        ({"newField": None, "another": []}, {"third": ""}),
        ({}, {"serviceGroups": ["all"]}),
    ],
)
def test_an_extract_of_the_whole_account_covers_it(request_, job):
    assert lacks(request_, job) is None


@pytest.mark.parametrize(
    ("request_", "job"),
    [
        ({"projectIdList": [ONE]}, {}),
        ({"projectIdList": f'["{ONE}"]'}, {}),
        ({"projectId": ONE}, {}),
        ({}, {"projectId": ONE}),
        ({}, {"projectIdList": [ONE, TWO]}),
        ({}, {"projectIdList": f'["{ONE}"]'}),
        ({"projectIdList": {"in": [ONE]}}, {}),
        ({"projectIdList": ONE}, {}),  # text that is no JSON
        ({"projectIdList": [7]}, {}),
        ({"projectId": 7}, {}),
        ({"projectStatus": "active"}, {}),
        ({}, {"projectStatus": "Archived"}),
        ({"projectStatus": ["all"]}, {}),
        ({"serviceGroups": ["admin"]}, {}),
        ({"serviceGroups": []}, {}),
        ({"serviceGroups": None}, {}),
        ({"serviceGroups": {"issues": True}}, {}),
        ({}, {"serviceGroups": ["admin"]}),
        ({"businessUnits": ["north"]}, {}),
        ({"includeArchived": False}, {}),
        ({"maxProjects": 0}, {}),
        ({"project_id_list": [ONE]}, {}),
        ({}, {"skippedProjects": 2}),
        ({}, {"folderIds": ["urn"]}),
    ],
)
def test_what_limits_an_extract_or_is_not_understood_does_not_cover_the_account(request_, job):
    assert lacks(request_, job)


def test_a_field_that_is_not_understood_is_named():
    assert "'businessUnits'" in str(lacks({"businessUnits": ["north"]}))


@pytest.mark.parametrize(
    ("request_", "job", "covers"),
    [
        ({"projectIdList": [ONE]}, {}, True),
        ({"projectIdList": [f"b.{ONE.upper()}"]}, {"projectId": ONE}, True),
        ({"projectId": ONE}, {}, True),
        ({}, {"projectId": ONE}, True),
        ({"projectId": TWO, "projectIdList": [ONE]}, {}, True),  # the list prevails (documented)
        ({"projectIdList": [ONE]}, {"projectId": TWO}, False),
        ({"projectIdList": [ONE, TWO]}, {}, False),
        ({"projectIdList": [ONE, TWO]}, {"projectIdList": [ONE]}, False),
        ({"projectId": TWO}, {}, False),
        ({}, {}, False),
    ],
)
def test_an_extract_of_certain_projects_covers_those_alone(request_, job, covers):
    assert (lacks(request_, job, projects=(ONE,)) is None) == covers


SINCE = {
    day: dt.datetime.fromisoformat(f"{day}T12:00:00Z")
    for day in ("2026-06-14", "2026-06-09", "2026-05-20")
}


@pytest.mark.parametrize(
    ("request_", "job", "covered"),
    [
        ({}, {}, ["2026-06-14"]),  # yesterday is the default
        ({"dateRange": "YESTERDAY"}, {}, ["2026-06-14"]),
        ({"dateRange": "TODAY"}, {}, []),
        ({"dateRange": "past_7_days"}, {}, ["2026-06-14", "2026-06-09"]),
        ({"dateRange": "MONTH_TO_DATE"}, {}, ["2026-06-14", "2026-06-09"]),
        ({"dateRange": "LAST_MONTH"}, {}, ["2026-05-20"]),
        ({"dateRange": "LAST_QUARTER"}, {}, []),
        # The word prevails over the dates.
        (
            {
                "dateRange": "TODAY",
                "startDate": "2026-05-20T00:00:00Z",
                "endDate": "2026-06-15T00:00:00Z",
            },
            {},
            [],
        ),
        (
            {
                "dateRange": "CUSTOM",
                "startDate": "2026-06-01T00:00:00Z",
                "endDate": "2026-06-15T00:00:00Z",
            },
            {},
            ["2026-06-14", "2026-06-09"],
        ),
        (
            {"startDate": "2026-06-01T00:00:00Z", "endDate": "2026-06-15T00:00:00Z"},
            {"startDate": "2026-06-14T00:00:00Z", "endDate": "2026-06-15T00:00:00Z"},
            ["2026-06-14"],
        ),
        # A longer range of activities is yesterday, without a word.
        (
            {"startDate": "2026-05-01T00:00:00Z", "endDate": "2026-06-15T00:00:00Z"},
            {},
            ["2026-06-14"],
        ),
        ({"startDate": "some day", "endDate": "2026-06-15T00:00:00Z"}, {}, []),
    ],
)
def test_activities_are_covered_from_the_start_of_the_range_on(request_, job, covered):
    request_ = {"serviceGroups": ["activities"], **request_}
    found = [
        name
        for name, since in SINCE.items()
        if lacks(request_, job, group="activities", since=since) is None
    ]
    assert found == covered


def test_changes_without_a_range_are_covered_by_no_day():
    asked = {"serviceGroups": ["cdcissues"]}
    assert lacks(asked, group="cdcissues", since=NOW - DAY)
    dates = {"startDate": "2000-01-01T00:00:00Z", "endDate": "2026-06-15T00:00:00Z"}
    assert lacks({**asked, **dates}, group="cdcissues", since=NOW - DAY) is None


# --- from the outside --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "job", "covers"),
    [
        (None, {}, True),
        ("2026-06-15T02:59:00Z", {}, True),
        ("2026-06-15T03:12:00Z", {}, True),  # the server may note its jobs there
        ("2026-06-15T03:52:00Z", {"completedAt": "2026-06-15T03:50:00Z"}, True),
        ("2026-06-15T03:30:00Z", {}, False),
        ("2026-06-15T09:00:00Z", {"completedAt": "2026-06-15T03:50:00Z"}, False),
        ("2026-06-15T03:00:00Z", {"createdAt": None, "startedAt": None}, False),
        ("yesterday", {}, False),
    ],
)
def test_a_request_that_was_changed_since_says_nothing_of_its_earlier_jobs(changed, job, covers):
    why = lacks({"updatedAt": changed}, job)
    assert why is None if covers else "last change of its request" in str(why)


@pytest.mark.parametrize(
    ("queued", "covers"),
    [
        ("2026-06-16T03:00:00.000Z", True),
        ("2026-06-16T02:59:59.900Z", True),
        ("2026-06-16T03:00:01Z", False),  # a change, and with it a job
        ("2026-06-16T02:59:00Z", False),
        ("soon", False),
        ({"at": 1}, False),
        (None, False),
    ],
)
def test_that_a_server_notes_its_next_job_is_no_change_of_a_request(queued, covers):
    """A schedule whose next job is running, or has failed, has the extract of the day before."""
    changed = {"updatedAt": "2026-06-16T03:00:00.000Z", "lastQueuedAt": queued}
    job = {"completedAt": "2026-06-15T03:50:00Z"}
    why = lacks(changed, job)
    assert why is None if covers else "last change of its request" in str(why)


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0, clock=SandboxClock(NOW)) as sandbox:
        yield sandbox


def run(server: Sandbox, *streams: str, state: Any = None, **config: Any) -> TapRun:
    return in_process.run(server, {**ONLY, **config}, *streams, state=state)


def project(server: Sandbox, at: int = 0) -> str:
    return server.data_connector.tables[server.account_id].world.projects[at].id


def failure(run: TapRun) -> str:
    assert run.code == 1
    (sentence,) = [line for line in run.stderr.splitlines() if "| FAILED " in line]
    return sentence


@pytest.mark.parametrize("side", ["request", "list as text", "job"])
def test_an_extract_of_one_project_is_never_loaded_for_the_account(server, side):
    one = project(server)
    body: dict[str, Any] = {"serviceGroups": ["issues"]}
    shown: dict[str, Any] = {}
    match side:
        case "request":
            body["projectId"] = one
        case "list as text":
            server.data_connector.project_lists = "text"
            body["projectIdList"] = [one]
        case _:
            body["projectIdList"] = [one]
            shown = {"projectIdList": None, "projectId": None}
    _, job = server.data_connector.add_extract(body, request=shown)
    whole = run(server, TABLE)
    assert whole.code == 0, whole.stderr
    assert len(server.exports) == 1
    projects = {row["bim360_project_id"] for row in whole.records(TABLE)}
    assert len(projects) > 1
    assert {row["_export_id"] for row in whole.records(TABLE)} != {job}


def test_no_part_is_loaded_where_no_new_extract_may_be_requested(server):
    _, job = server.data_connector.add_extract({"projectId": project(server)})
    latest = failure(run(server, TABLE, data_connector_extract="latest"))
    assert "no successful extract that covers all selected tables" in latest
    pinned = failure(run(server, TABLE, data_connector_job_id=job))
    assert f"job {job}" in pinned
    assert "is limited to some projects" in pinned
    named = run(
        server, TABLE, data_connector_job_id=job, data_connector_project_ids=[project(server)]
    )
    assert named.code == 0, named.stderr
    assert {row["bim360_project_id"] for row in named.records(TABLE)} == {project(server)}
    assert server.exports == []


@pytest.mark.parametrize("how", ["auto", "latest", "pinned"])
def test_an_extract_of_one_project_whose_request_was_widened_since_is_not_taken_for_all(
    server, how
):
    daily = {"scheduleInterval": "DAY", "reoccuringInterval": 1}
    body = {"projectIdList": [project(server)], "effectiveTo": "2027-01-01T00:00:00Z", **daily}
    # That a job says itself which projects it is of is documented, and not observed of all.
    says_nothing = {"projectId": None, "projectIdList": None}
    request, job = server.data_connector.add_extract(body, job=says_nothing)
    server.clock.advance(3600)
    client = Client(server)
    wider = {"projectIdList": [], "serviceGroups": ["all"]}
    answer = client.ask("PATCH", f"{client.account}/requests/{request}", json=wider)
    assert answer.status_code == 200, answer.text
    assert not answer.json()["projectIdList"]
    config = {"data_connector_job_id": job} if how == "pinned" else {"data_connector_extract": how}
    done = run(server, TABLE, **config)
    if how == "auto":
        assert done.code == 0, done.stderr
        assert len({row["bim360_project_id"] for row in done.records(TABLE)}) > 1
        return
    why = {"pinned": "the last change of its request", "latest": "no successful extract that"}
    assert why[how] in failure(done)
    assert done.records(TABLE) == []


def test_no_part_is_loaded_in_place_of_a_used_up_quota(server):
    for _ in range(24):
        server.data_connector.add_extract({"serviceGroups": ["admin"]}, created=NOW - DAY / 2)
    server.data_connector.add_extract({"projectId": project(server)}, created=NOW - 2 * DAY)
    assert "has used its 24 jobs" in failure(run(server, TABLE))
    _, whole = server.data_connector.add_extract({}, created=NOW - 3 * DAY)
    used = run(server, TABLE)
    assert used.code == 0, used.stderr
    assert {row["_export_id"] for row in used.records(TABLE)} == {whole}


def test_an_extract_made_in_the_product_for_everything_is_used(server):
    _, job = server.data_connector.add_extract({"serviceGroups": ["all"]})
    used = run(server, TABLE)
    assert used.code == 0, used.stderr
    assert {row["_export_id"] for row in used.records(TABLE)} == {job}
    assert server.exports == []


def test_a_field_that_nobody_documented_costs_a_job_and_no_rows(server):
    server.data_connector.add_extract({}, request={"businessUnitIds": ["north"]})
    used = run(server, TABLE)
    assert used.code == 0
    assert len(server.exports) == 1


@pytest.mark.parametrize(
    "said", [{"accountId": ONE}, {"startedAt": "2099-01-01T00:00:00Z"}], ids=["account", "future"]
)
def test_a_job_of_another_account_or_of_days_to_come_is_not_used(server, said):
    _, job = server.data_connector.add_extract({}, job=said)
    done = run(server, TABLE)
    assert done.code == 0, done.stderr
    assert len(server.exports) == 1
    assert {row["_export_id"] for row in done.records(TABLE)} != {job}


def test_an_extract_behind_the_first_page_is_found_where_the_total_counts_the_page(server):
    _, wanted = server.data_connector.add_extract({}, created=NOW - DAY / 2)
    for minute in range(100):
        created = NOW - dt.timedelta(minutes=minute)
        server.data_connector.add_extract({"projectIdList": [ONE]}, created=created)
    server.data_connector.paging = "counts_page"
    done = run(server, TABLE)
    assert done.code == 0, done.stderr
    assert {row["_export_id"] for row in done.records(TABLE)} == {wanted}
    assert server.exports == []


def test_an_extract_of_a_lost_state_is_used_only_where_all_that_is_said_of_it_is_understood(server):
    whole = run(server, TABLE, data_connector_extract="new")
    server.faults.add("edit", endpoint="jobs", edits={"results.*.skippedProjects": 2}, times=None)
    again = run(server, TABLE, data_connector_extract="new")
    assert again.code == 0, again.stderr
    assert len(server.exports) == 2
    server.faults.clear()
    assert again.records(TABLE) != whole.records(TABLE)
    run(server, TABLE, data_connector_extract="new")
    assert len(server.exports) == 2


def test_an_extract_whose_files_are_gone_is_passed_over_for_the_next(server):
    _, older = server.data_connector.add_extract({}, created=NOW - DAY / 2)
    _, newer = server.data_connector.add_extract({}, created=NOW - DAY / 4)
    odd = [("status", {"status": status}) for status in (404, 403, 410, 451, 500)]
    for effect, how in [*odd, ("edit", {"edits": {"": "no files"}})]:
        server.faults.add(effect, endpoint="listing", path=f"*{newer}*", times=None, **how)
        used = run(server, TABLE)
        assert used.code == 0, used.stderr
        assert {row["_export_id"] for row in used.records(TABLE)} == {older}
        server.faults.clear()
    assert server.exports == []


@pytest.mark.parametrize("asks", ["listing", "link", "job"])
@pytest.mark.parametrize("how", ["auto", "latest", "pinned"])
def test_an_extract_that_is_answered_with_a_page_once_is_used_by_the_next_run(server, how, asks):
    server.data_connector.add_extract({}, created=NOW - DAY / 2)
    _, newer = server.data_connector.add_extract({}, created=NOW - DAY / 4)
    setting = {"data_connector_job_id": newer} if how == "pinned" else {}
    config = setting or {"data_connector_extract": how, "data_connector_max_age_hours": 20}
    # The first time that a listing is asked for, it is still to be chosen.
    occasions = [2] if asks == "listing" and how != "pinned" else [1]
    server.faults.add("html", endpoint=asks, path=f"*{newer}*", occasions=occasions)
    met = run(server, TABLE, **config)
    assert "something that is not JSON" in failure(met)
    server.faults.clear()
    used = run(server, TABLE, state=met.state, **config)
    assert used.code == 0, used.stderr
    assert {row["_export_id"] for row in used.records(TABLE)} == {newer}
    assert server.exports == []


@pytest.mark.parametrize("effect", ["html", "status"])
@pytest.mark.parametrize("how", ["auto", "latest", "used up"])
def test_no_extract_is_loaded_over_a_newer_one_that_is_not_there_any_more(server, how, effect):
    config: dict[str, Any] = {"data_connector_extract": "latest" if how == "latest" else "auto"}
    config |= {"data_connector_max_age_hours": 0 if how == "used up" else 20}
    config["emit_activate_version_messages"] = True
    server.data_connector.add_extract({}, created=NOW - DAY / 2)
    _, newer = server.data_connector.add_extract({}, created=NOW - DAY / 4)
    first = run(server, TABLE, **config, data_connector_job_id=newer)
    assert first.code == 0, first.stderr
    where = {"endpoint": "listing", "path": f"*{newer}*", "times": None}
    server.faults.add(effect, **where, **({"status": 404} if effect == "status" else {}))
    if how == "used up":
        server.faults.add("status", endpoint="submit", status=429, times=None)
    later = run(server, TABLE, state=first.state, **config)
    assert later.code == (1 if how == "used up" else 0), later.stderr
    taken = {row["_exported_at"] for row in later.records(TABLE)}
    assert all(at > row["_exported_at"] for at in taken for row in first.records(TABLE))
    assert len(taken) == (how == "auto")
    assert len(later.of_type("ACTIVATE_VERSION")) == (how == "auto")


def test_the_latest_extract_moves_the_bookmark_of_activities_as_far_as_it_goes(server):
    config = {"data_connector_extract": "latest", "start_date": "2026-06-10"}
    dates = {"startDate": "2026-06-09T00:00:00Z", "endDate": "2026-06-13T00:00:00Z"}
    body = {"serviceGroups": ["activities", "issues"], "dateRange": "CUSTOM", **dates}
    _, job = server.data_connector.add_extract(body, created=NOW - DAY)
    first = run(server, ACTIVITIES, TABLE, **config)
    assert first.code == 0, first.stderr
    assert {row["_export_id"] for row in first.records(ACTIVITIES)} == {job}
    (partition,) = first.state["bookmarks"][ACTIVITIES]["partitions"]
    assert partition["replication_key_value"] == "2026-06-13T00:00:00.000000Z"

    # It is not sent again, and one that leaves days out is none that serves.
    again = run(server, ACTIVITIES, TABLE, state=first.state, **config)
    assert again.code == 0, again.stderr
    assert again.records(ACTIVITIES) == []
    late = {"startDate": "2026-06-14T12:00:00Z", "endDate": "2026-06-15T00:00:00Z"}
    server.data_connector.add_extract({**body, **late}, created=NOW - DAY / 24)
    gap = run(server, ACTIVITIES, TABLE, state=first.state, **config)
    assert gap.code == 0
    assert gap.records(ACTIVITIES) == []
    (partition,) = gap.state["bookmarks"][ACTIVITIES]["partitions"]
    assert partition["replication_key_value"] == "2026-06-13T00:00:00.000000Z"
    assert len(gap.records(TABLE)) > 0


def test_a_pinned_extract_that_leaves_days_out_is_refused_for_activities_alone(server):
    late = {"startDate": "2026-06-14T00:00:00Z", "endDate": "2026-06-15T00:00:00Z"}
    body = {"serviceGroups": ["activities", "issues"], **late}
    _, job = server.data_connector.add_extract(body)
    pinned = run(server, ACTIVITIES, TABLE, data_connector_job_id=job, start_date="2026-06-01")
    assert "is of 2026-06-14 00:00 to 2026-06-15 00:00, and 2026-06-01 00:00 is not" in failure(
        pinned
    )
    assert pinned.records(TABLE)
    assert pinned.records(ACTIVITIES) == []


def test_a_pinned_extract_whose_request_is_gone_covers_nothing(server):
    request, job = server.data_connector.add_extract({})
    server.faults.add("status", endpoint="request", path=f"*{request}*", status=404, times=None)
    assert "no telling which part" in failure(run(server, TABLE, data_connector_job_id=job))
