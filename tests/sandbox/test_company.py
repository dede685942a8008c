"""The sandbox's company lives: people have a rhythm, and the dates, states and amounts agree."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from tap_autodesk_exports.sandbox.data import registry
from tap_autodesk_exports.sandbox.data.habits import Rhythm, habits
from tap_autodesk_exports.sandbox.data.names import Names
from tap_autodesk_exports.sandbox.data.reports import Reports, Scope
from tap_autodesk_exports.sandbox.data.rows import Snapshot
from tap_autodesk_exports.sandbox.data.tables import Tables
from tap_autodesk_exports.sandbox.data.tokens import Tokens
from tap_autodesk_exports.sandbox.data.usage import Usage
from tap_autodesk_exports.sandbox.data.world import World

if TYPE_CHECKING:
    from tap_autodesk_exports.sandbox.data.usage import Use

NOW = dt.datetime(2026, 9, 10, 12, tzinfo=dt.UTC)
TODAY = NOW.date()


@pytest.fixture(scope="module", params=[1, 5])
def world(request: pytest.FixtureRequest) -> World:
    return World(seed=request.param)


@pytest.fixture(scope="module")
def tables(world: World) -> Tables:
    return Tables(world, registry.load())


@pytest.fixture(scope="module")
def year(world: World) -> list[Use]:
    return list(Usage(world).between(TODAY - dt.timedelta(days=365), TODAY, NOW))


def rows(tables: Tables, name: str, now: dt.datetime = NOW, **more: Any) -> list[dict[str, Any]]:
    columns = list(tables.registry[name].columns)
    snapshot = Snapshot(now, **more)
    return [dict(zip(columns, row, strict=True)) for row in tables.rows(name, snapshot)]


def test_people_work_as_their_rhythm_says(world: World, year: list[Use]):
    days: dict[int, set[dt.date]] = defaultdict(set)
    for use in year:
        days[use.person.index].add(use.day)
    by_rhythm = defaultdict(list)
    for person in world.people:
        habit = habits(world)[person.index]
        if habit.left and habit.left < TODAY:
            assert not any(day > habit.left for day in days[person.index])
        elif person.joined.date() < TODAY - dt.timedelta(days=365):
            by_rhythm[habit.rhythm].append(len(days[person.index]))
    assert set(by_rhythm) == set(Rhythm)
    assert max(by_rhythm[Rhythm.NEVER]) == 0
    assert max(by_rhythm[Rhythm.RARE]) < min(by_rhythm[Rhythm.DAILY])
    assert max(by_rhythm[Rhythm.RARE]) < max(by_rhythm[Rhythm.WEEKLY]) < 130
    assert any(habit.left and habit.left < TODAY for habit in habits(world))


def test_weekends_holidays_and_summer_are_quiet(year: list[Use]):
    by_day = Counter(use.day for use in year)
    usual = sum(by_day[dt.date(2026, 3, day)] for day in range(9, 14)) / 5
    assert by_day[dt.date(2025, 12, 25)] < usual / 5
    assert by_day[dt.date(2026, 3, 14)] < usual / 3
    summer = sum(by_day[dt.date(2026, 8, day)] for day in range(10, 15)) / 5
    assert usual / 3 < summer < usual * 0.9


def test_a_release_is_taken_up_step_by_step_and_late_by_some(year: list[Use]):
    shares = {}
    for month in (4, 7, 9):
        of_month = [use for use in year if (use.day.year, use.day.month) == (2026, month)]
        used = Counter(use.version for use in of_month if use.version)
        shares[month] = used["2027"] / used.total()
    assert shares[4] < 0.2 < shares[9] < 1
    assert shares[4] < shares[7] < shares[9]


def test_seats_are_near_the_need_and_tokens_near_the_use(world: World):
    reports = Reports(world, Names())
    teams = [team for team in world.teams if team.reports]
    bought = sum(
        line["seat_quantity"] for line in reports.lines("SUBSCRIPTIONS", Scope(teams, NOW))
    )
    period = (NOW - dt.timedelta(days=30), NOW)
    assigned = [
        line
        for line in reports.lines("USAGE_REPORT", Scope(teams, NOW, period))
        if line["seat_assignment"] == "assigned" and line["access_option"] == "Subscription"
    ]
    assert len(assigned) * 0.9 < bought < len(assigned) * 1.8
    tokens = Tokens(world)
    first, last = tokens.contracts[1].year(1)
    used = sum(
        float(charge.at(NOW)["tokensConsumed"])
        for charge in tokens.charges(tokens.contracts[1], first, last, NOW)
    )
    assert 0.7 * tokens.provisioned() < used < 1.2 * tokens.provisioned()


def test_nobody_signs_in_before_they_join_or_long_after_they_left(world: World, tables: Tables):
    people = {person.id: person for person in world.people}
    never = 0
    for row in rows(tables, "admin_users"):
        person, seen = people[row["id"]], row["last_sign_in"]
        habit = habits(world)[person.index]
        never += seen is None
        if seen:
            day = dt.date.fromisoformat(seen[:10])
            assert person.joined.date() <= day <= TODAY
            assert habit.rhythm is not Rhythm.NEVER
            assert habit.left is None or day <= habit.left
    assert 0 < never < len(people) / 3


def test_an_issue_is_closed_when_it_says_so(tables: Tables):
    issues = rows(tables, "issues_issues")
    states = Counter(row["status"] for row in issues)
    assert set(states) == {"draft", "open", "in_review", "pending", "closed", "not_approved"}
    for row in issues:
        over = row["status"] in {"closed", "not_approved"}
        assert (row["closed_at"] is not None) is over
        assert (row["closed_by"] is not None) is over
        assert row["opened_at"] == row["created_at"]
        assert not over or row["opened_at"] < row["closed_at"] == row["updated_at"]
        assert row["due_date"] is None or row["due_date"] > row["opened_at"]
    born = Counter(row["created_at"][:7] for row in issues)
    assert max(born.values()) < len(issues) / 10


def test_an_rfi_its_transitions_and_its_dates_tell_one_story(tables: Tables):
    moves = defaultdict(list)
    for row in sorted(rows(tables, "rfis_rfi_transitions"), key=lambda row: row["created_at"]):
        moves[row["rfi_id"]].append(row)
    for rfi in rows(tables, "rfis_rfis"):
        states = [move["to_status"] for move in moves[rfi["id"]]]
        assert states[-1] == rfi["status"]
        assert [move["from_status"] for move in moves[rfi["id"]]] == [None, *states[:-1]]
        at = {move["to_status"]: move["created_at"] for move in moves[rfi["id"]]}
        for state in ("answered", "closed"):
            assert (rfi[f"{state}_at"] is not None) is (state in at)
            if state in at:
                apart = dt.datetime.fromisoformat(at[state]) - dt.datetime.fromisoformat(
                    rfi[f"{state}_at"]
                )
                assert dt.timedelta(0) <= apart < dt.timedelta(seconds=1)
        assert all(
            move["bim360_project_id"] == rfi["bim360_project_id"] for move in moves[rfi["id"]]
        )


def test_a_submittal_and_its_step_tell_one_story(tables: Tables):
    steps = {row["item_id"]: row for row in rows(tables, "submittalsacc_steps")}
    expected = {"1": "not-started", "4": "not-started", "6": "not-started", "2": "in-progress",
                "3": "completed"}  # fmt: skip
    items = rows(tables, "submittalsacc_items")
    assert set(expected) == {item["status_id"] for item in items}
    for item in items:
        step = steps.get(item["id"])
        if step is not None:  # it follows some minutes later
            assert step["status"] == expected[item["status_id"]]
            assert (step["completed_at"] is not None) is (item["status_id"] == "3")
        assert (item["response_value"] is not None) is (item["status_id"] == "3")


def test_budgets_add_up_and_only_grow(tables: Tables):
    later = {row["id"]: row for row in rows(tables, "cost_budgets", NOW + dt.timedelta(days=60))}
    grown = 0
    for row in rows(tables, "cost_budgets"):
        numbers = tables.registry["cost_budgets"].columns.items()
        of = {name: float(row[name]) for name, kind in numbers if kind == "number" and row[name]}
        assert of["revised"] == (
            of["original_amount"] + of["internal_adjustment"] + of["approved_owner_changes"]
        )
        assert of["quantity"] * of["unit_price"] == of["original_amount"]
        committed = (
            of["original_commitment"]
            + of["approved_change_orders"]
            + of["approved_in_scope_change_orders"]
        )
        pending = of["pending_change_orders"] + of["reserves"] + of["uncommitted"]
        assert of["projected_cost"] == committed + pending
        assert of["forecast_final_cost"] == of["projected_cost"] + of["adjustments_total"]
        assert of["variance_total"] == of["projected_budget"] - of["projected_cost"]
        assert 0 <= of["actual_cost"] <= committed + 0.01
        if row["id"] in later:
            spent = float(later[row["id"]]["actual_cost"])
            assert spent >= of["actual_cost"]
            grown += spent > of["actual_cost"]
    assert grown


def test_projects_begin_one_after_another(tables: Tables, world: World):
    middles = []
    for project in world.projects:
        born = sorted(
            row["created_at"]
            for row in rows(tables, "issues_issues", NOW + dt.timedelta(days=700))
            if row["bim360_project_id"] == project.id
        )
        middles.append(born[len(born) // 2])
    assert middles == sorted(middles, reverse=True)
    assert world.projects[-1].status == "archived"


@pytest.mark.parametrize(
    "name", ["issues_issues", "rfis_rfis", "submittalsacc_steps", "cost_budgets"]
)
def test_the_change_groups_hold_every_step_of_a_life(tables: Tables, name: str):
    since = NOW - dt.timedelta(days=45)
    key = tables.registry[name].key[0]
    before, after = ({row[key]: row for row in rows(tables, name, at)} for at in (since, NOW))
    changed = {row[key] for row in rows(tables, f"cdc{name}", changes=(since, NOW))}
    differ = {
        identity for identity in before.keys() | after.keys()
        if before.get(identity) != after.get(identity)
    }  # fmt: skip
    assert differ
    assert differ <= changed
