"""The marts of a small company, held against what its sandbox knows; and the page of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from answers import warehouses
from answers.truth import OVER, Truth, largest
from answers.warehouses import MARTS, NOW, START, STREAMS, Dbt
from support import chromium
from support.processes import ROOT
from tap_autodesk_exports.report_page import page
from tap_autodesk_exports.report_page.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answers.warehouses import Row
    from support.processes import Postgres

APIS = {
    "insights": ("insights_",),
    "tokenflex": ("tokenflex_",),
    "data_connector": ("admin_", "issues_", "rfis_", "submittalsacc_", "cost_"),
}
pytestmark = pytest.mark.timeout(900)  # the company is made once, for all of them
BUILD = ["build"]
WAREHOUSES = ("all", "export", "hashed", *APIS, "half of the columns", "nothing", "postgres")
WITHOUT_UNIT_TESTS = ["build", "--exclude", "test_type:unit"]


def differences(left: list[Row], right: list[Row], *apart_from: str) -> list[str]:
    """Return some of the rows that only one side has."""
    one, other = (
        Counter(
            repr(sorted((key, value) for key, value in row.items() if key not in apart_from))
            for row in rows
        )
        for rows in (left, right)
    )
    return [*list((one - other).elements())[:3], *list((other - one).elements())[:3]]


@dataclasses.dataclass(frozen=True)
class Company:
    """The company, its warehouses by name, and what dbt said of each."""

    truth: Truth
    balance: float
    paths: dict[str, Path]
    runs: dict[str, Any]
    marts: dict[str, list[Row]]
    hashed: dict[str, list[Row]]
    by_export: dict[str, list[Row]]
    in_postgres: dict[str, list[Row]]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("answers")
    with warehouses.company() as sandbox:
        said = warehouses.messages(sandbox)
        hidden = warehouses.messages(sandbox, hash_personal_data=True, hash_key="k" * 32)
        truth = Truth(sandbox, START, NOW)
        paths = {"all": warehouses.load_duckdb(said, folder / "all")}
        warehouses.load_postgres(said, postgres)
        paths["export"] = warehouses.exported(sandbox, folder / "export")
        hashed = warehouses.load_duckdb(hidden, folder / "hashed as loaded")
        # Both at once: what each of them changes must make no difference.
        paths["hashed"] = warehouses.spelt_otherwise(hashed, folder / "hashed")
        for api, prefixes in APIS.items():
            paths[api] = warehouses.only(paths["all"], prefixes, folder / api)
        paths["half of the columns"] = warehouses.narrow(paths["all"], folder / "half")
        paths["nothing"] = warehouses.only(paths["all"], ("no stream",), folder / "nothing")
        dbt = Dbt(folder / "dbt")
        done = dbt.run(
            "duckdb",
            *(
                (
                    {"DBT_DUCKDB_PATH": str(path)},
                    BUILD if name == "all" else WITHOUT_UNIT_TESTS,
                )
                for name, path in paths.items()
            ),
            ({"DBT_DUCKDB_PATH": str(paths["insights"])}, ["source", "freshness"]),
        )
        runs = dict(zip([*paths, "freshness"], done, strict=True))
        environment = {"PGHOST": str(postgres.folder), "PGUSER": "postgres"}
        (runs["postgres"],) = dbt.run("postgres", (environment, BUILD))
        yield Company(
            truth=truth,
            balance=truth.tokens_left(truth.today),
            paths=paths,
            runs=runs,
            marts=warehouses.marts(paths["all"]),
            hashed=warehouses.marts(paths["hashed"]),
            by_export=warehouses.marts(paths["export"]),
            in_postgres=warehouses.postgres_marts(postgres),
        )
    with postgres.connect() as connection:
        for schema in ("autodesk", "answers", "answers_staging"):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


# What dbt says.


@pytest.mark.parametrize("name", WAREHOUSES)
def test_models_data_tests_and_unit_tests_pass(company: Company, name: str):
    run = company.runs[name]
    assert run["error"] is None
    bad = {node: found for node, found in run["nodes"].items()
           if found["status"] not in {"success", "pass"}}  # fmt: skip
    assert bad == {}
    kinds = Counter(node.partition(".")[0] for node in run["nodes"])
    assert kinds["model"] >= len(STREAMS) + len(MARTS)
    assert kinds["test"] >= len(MARTS)
    assert kinds["unit_test"] == (len(MARTS) if name in {"all", "postgres"} else 0)


def test_every_column_of_every_mart_is_documented_and_the_grain_is_tested(company: Company):
    documented = yaml.safe_load((ROOT / "dbt/models/marts/_marts.yml").read_text(encoding="utf-8"))
    models = {model["name"]: model for model in documented["models"]}
    assert sorted(models) == sorted(MARTS)
    for name, model in models.items():
        columns = {column["name"] for column in model["columns"] if column["description"]}
        assert columns == set(company.marts[name][0]), name
        assert any("grain" in test for test in model["data_tests"]), name
        assert "One row for each" in model["description"] or name == "people"


def test_sources_are_the_streams_that_the_tests_load():
    sources = yaml.safe_load((ROOT / "dbt/models/staging/_sources.yml").read_text(encoding="utf-8"))
    assert {table["name"] for table in sources["sources"][0]["tables"]} == set(STREAMS)
    for stream in STREAMS:
        code = (ROOT / f"dbt/models/staging/stg_{stream}.sql").read_text(encoding="utf-8")
        assert f"loaded('{stream}'" in code


def test_meltano_has_the_commands_and_their_programs():
    plugins = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))["plugins"]
    (utility,) = plugins["utilities"]
    assert set(utility["commands"]) == {"build", "docs", "report"}
    settings = {setting["name"]: setting["value"] for setting in utility["settings"]}
    (duckdb,) = (plugin for plugin in plugins["loaders"] if plugin["name"] == "target-duckdb")
    loaded = {setting["name"]: setting.get("value") for setting in duckdb["settings"]}
    assert settings["path"] == loaded["path"] == "output/warehouse.duckdb"
    programs = warehouses.FOLDER / "utilities" / "dbt-duckdb" / "venv" / "bin"
    for command in utility["commands"].values():
        assert (programs / command.get("executable", utility["executable"])).is_file()


def test_freshness_looks_at_the_export_and_not_at_streams_that_are_not_loaded(company: Company):
    nodes = {node.rsplit(".", 1)[1]: found
             for node, found in company.runs["freshness"]["nodes"].items()}  # fmt: skip
    assert nodes["insights_usage"]["newest"][:10] == f"{NOW:%Y-%m-%d}"
    assert nodes["issues_issues"]["status"] == "pass"
    assert "insights_contexts" not in nodes  # a list has no export


# Both warehouses, and with hashes.


@pytest.mark.parametrize("name", MARTS)
def test_postgres_has_the_same_rows(company: Company, name: str):
    assert company.marts[name]
    assert differences(company.marts[name], company.in_postgres[name]) == []


@pytest.mark.parametrize("name", MARTS)
def test_a_file_that_was_exported_without_the_tap_has_the_same_rows(company: Company, name: str):
    assert differences(company.marts[name], company.by_export[name]) == []


@pytest.mark.parametrize("name", MARTS)
def test_hashes_and_names_and_types_that_a_loader_has_changed_make_no_difference(
    company: Company, name: str
):
    clear, hashed = company.marts[name], company.hashed[name]
    assert differences(clear, hashed, "person", "person_name") == []
    for row in company.hashed[name]:
        assert "@" not in str(row.get("person"))
    if name == "people":
        names = {row["person_name"] for row in company.marts[name]}
        assert not names & {row["person_name"] for row in company.hashed[name]} - {None}


# Each mart against the truth.


def test_seat_utilisation_counts_people_of_each_month_and_seats_of_now(company: Company):
    use, bought = company.truth.seat_use(), company.truth.seats_bought()
    rows = company.marts["seat_utilisation"]
    found = {
        (row["team_id"], row["offering_name"], row["month"]): (
            row["people_used"],
            row["highest_day_people"],
        )
        for row in rows
        if row["people_used"]
    }
    assert found == use
    now = [row for row in rows if row["is_current_month"]]
    assert {(row["team_id"], row["offering_name"]): row["seats_bought"] for row in now} == bought
    for row in now:
        assert row["seats_unused"] == max(0, row["seats_bought"] - row["people_used"])


def test_idle_seats_know_the_last_use_of_every_assigned_seat(company: Company):
    seats = company.truth.seats()
    rows = company.marts["idle_seats"]
    found = {
        (row["team_id"], row["person"], row["offering_name"]): row["last_used_on"] for row in rows
    }
    assert found == seats
    today = company.truth.today
    for row in rows:
        last = row["last_used_on"]
        assert row["days_idle"] == (last and (today - last).days)
    assert {"never", "0-30"} <= {row["idle_for"] for row in rows}


def test_product_versions_count_people_and_days_of_both_apis(company: Company):
    found = {
        (row["product_name"], row["version"], row["month"]): (
            row["people"], row["insights_people"], row["tokenflex_people"], row["days_used"],
        )
        for row in company.marts["product_versions"]
    }  # fmt: skip
    assert found == company.truth.versions()
    shares: dict[Any, float] = defaultdict(float)
    for row in company.marts["product_versions"]:
        shares[row["product_name"], row["month"]] += row["share_of_days"]
    assert all(abs(share - 1) < 0.001 for share in shares.values())


def test_seat_or_flex_follows_from_days_and_prices(company: Company):
    prices: dict[str, tuple[float, dict[str, float]]] = {}
    for line in (ROOT / "dbt/seeds/autodesk_prices.csv").read_text().splitlines()[1:]:
        offering, product, seat, tokens = line.split(",")
        prices.setdefault(offering, (float(seat), {}))[1][product] = float(tokens)
    used = company.truth.use_by_offering()
    people = {(person, offering) for _, person, offering in company.truth.seats()}
    rows = {(row["person"], row["offering_name"]): row for row in company.marts["seat_or_flex"]}
    assert rows.keys() == people | used.keys()
    for key, row in rows.items():
        uses, (seat, tokens) = used.get(key, []), prices[key[1]]
        assert row["days_used"] == len({use.day for use in uses})
        assert row["seat_price_per_year"] == seat
        spent = 3 * sum(tokens[name] for name, _ in {(u.product.name, u.day) for u in uses})
        assert row["flex_cost_per_year"] == pytest.approx(
            spent * 365 / row["observed_days"], abs=0.01
        )
        if row["observed_days"] >= 28:
            cheaper = "flex" if row["flex_cost_per_year"] < seat else "seat"
            assert row["cheaper_by"] == cheaper
            has_seat = row["licensed_by"] in {"seat", "both"}
            saves = abs(row["flex_cost_per_year"] - seat) if has_seat == (cheaper == "flex") else 0
            assert row["saving_per_year"] == pytest.approx(saves, abs=0.01)


def test_the_burn_down_is_right_on_every_day_and_ends_at_autodesks_balance(company: Company):
    truth = company.truth
    rows = [row for row in company.marts["token_burndown"] if row["contract_year"] == truth.year]
    known = {row["day"]: row["tokens_left"] for row in rows if not row["is_forecast"]}
    first, last = truth.contract.year(truth.year)
    used = {c.day for c in truth.charges() if not c.category.startswith("MANUAL")}
    assert min(known) == max(first, min(used))
    assert max(known) == truth.today
    assert known[truth.today] == pytest.approx(company.balance, abs=1e-6)
    for day in list(known)[::23]:
        # Entries for days after the present one are not known to be used by then.
        assert known[day] == pytest.approx(truth.tokens_left(day), abs=1e-6), day
    foreseen = {row["day"]: row["tokens_left"] for row in rows if row["is_forecast"]}
    assert max(foreseen) == last
    charges = [c for c in truth.charges() if not c.category.startswith("MANUAL")]
    newest = max(charge.day for charge in charges)
    pace = sum(truth.amount(c) for c in charges if c.day > newest - dt.timedelta(days=28)) / 28
    days = (last - truth.today).days
    assert foreseen[last] == pytest.approx(company.balance - pace * days, abs=0.01)
    out = truth.today + dt.timedelta(days=-(-company.balance // pace))
    assert {row["runs_out_on"] for row in rows} == {out if out <= last else None}


def test_chargeback_has_every_token_under_its_department(company: Company):
    expected: dict[Any, float] = defaultdict(float)
    charges = [charge for charge in company.truth.charges() if charge.day >= START]
    for charge in charges:
        item = charge.at(NOW)
        manual = charge.category.startswith("MANUAL")
        paid_by = "not assigned" if manual else str(item["customField2"]) or "not assigned"
        month = charge.day.replace(day=1)
        key = (month, paid_by, item["productName"], charge.category)
        expected[key] += float(item["tokensConsumed"])
    found = {
        (row["month"], row["cost_value"], row["product_name"], row["usage_category"]): row["tokens"]
        for row in company.marts["token_chargeback"]
        if row["month"] >= START  # manual entries are read in whole contract years
    }
    assert found == pytest.approx(dict(expected))
    assert {row["cost_field"] for row in company.marts["token_chargeback"]} == {"Department"}


def test_peak_sessions_are_the_most_at_one_moment(company: Company):
    found = {
        (row["product_name"], row["weekday"], row["hour"]): row["peak_sessions"]
        for row in company.marts["peak_sessions"]
    }
    assert found == company.truth.peaks()


def test_the_backlog_of_past_weeks_is_what_an_extract_of_then_had(company: Company):
    rows = company.marts["issue_backlog"]
    moments = sorted({row["counted_at"] for row in rows})
    assert moments[-1].date() == company.truth.today
    for at in [*moments[::17], moments[-1]]:
        found = {
            row["project_id"]: (row["open_issues"], row["overdue_issues"])
            for row in rows
            if row["counted_at"] == at and row["open_issues"]
        }
        assert found == company.truth.backlog(at.replace(tzinfo=dt.UTC)), at
    assert sum(row["opened_issues"] for row in rows) == sum(
        row["status"] != "draft" for row in company.truth.rows("issues_issues")
    )


def test_rfi_turnaround_follows_the_life_of_each_rfi(company: Company):
    expected: dict[Any, Counter[str]] = defaultdict(Counter)
    for project, happened, row in company.truth.lives("rfis_rfis"):
        states = dict(happened)
        asked = states.get("open") or states.get("submitted")
        if asked is None or "void" in states:
            continue
        due = row["due_date"] and dt.datetime.fromisoformat(f"{row['due_date']}+00:00")
        answered = states.get("answered")
        found = expected[project, asked.date().replace(day=1)]
        found["rfis"] += 1
        found["answered"] += answered is not None
        found["waiting"] += answered is None
        found["overdue"] += bool(answered is None and due and due < NOW)
        found["answered_on_time"] += bool(answered and due and answered <= due)
        found["answered_late"] += bool(answered and due and answered > due)
        found["with_manager"] += answered is None and happened[-1][0] == "submitted"
        found["answered_not_closed"] += answered is not None and "closed" not in states
        if answered:
            found["minutes"] += (answered - asked).total_seconds() / 60
    rows = {(row["project_id"], row["month"]): row for row in company.marts["rfi_turnaround"]}
    assert rows.keys() == expected.keys()
    for key, found in expected.items():
        minutes = found.pop("minutes", 0)
        assert {name: rows[key][name] for name in found} == dict(found), key
        if found["answered"]:
            days = minutes / found["answered"] / 1440
            assert rows[key]["mean_days_to_answer"] == pytest.approx(days, abs=0.01)


def test_submittal_backlog_follows_the_life_of_each_submittal(company: Company):
    names = {"1": "Required", "2": "Open", "3": "Closed", "4": "Void", "6": "Draft"}
    today = company.truth.today
    expected: dict[Any, Counter[str]] = defaultdict(Counter)
    for project, happened, row in company.truth.lives("submittalsacc_items"):
        state = happened[-1][0]
        waits = state not in {"3", "4"}
        on_job = row["required_on_job_date"] and dt.date.fromisoformat(row["required_on_job_date"])
        found = expected[project, names[state]]
        found["items"] += 1
        found["waiting"] += waits
        found["past_required_on_job"] += bool(waits and on_job and on_job < today)
        in_month = on_job and today <= on_job <= today + dt.timedelta(days=30)
        found["required_within_30_days"] += bool(waits and in_month)
        found["in_review"] += state == "2"
        late = state == "2" and happened[-1][1].date() + dt.timedelta(days=10) < today
        found["review_late"] += late
    rows = company.marts["submittal_backlog"]
    found_rows = {(row["project_id"], row["status"]): row for row in rows}
    assert found_rows.keys() == expected.keys()
    for key, found in expected.items():
        assert {name: found_rows[key][name] for name in found} == dict(found), key


def test_cost_position_has_the_amounts_of_every_budget_and_they_add_up(company: Company):
    budgets = {row["id"]: row for row in company.truth.rows("cost_budgets")}
    rows = {row["budget_id"]: row for row in company.marts["cost_position"]}
    assert rows.keys() == budgets.keys()
    for key, row in rows.items():
        budget = budgets[key]
        revised = ("original_amount", "internal_adjustment", "approved_owner_changes")
        committed = ("original_commitment", "approved_change_orders",
                     "approved_in_scope_change_orders")  # fmt: skip
        assert row["original"] == float(budget["original_amount"])
        assert row["revised"] == sum(float(budget[name]) for name in revised)
        assert row["committed"] == sum(float(budget[name]) for name in committed)
        assert row["actual"] == pytest.approx(float(budget["actual_cost"]))
        assert row["actual"] <= row["committed"] + 0.01
        assert row["left_over"] == pytest.approx(row["revised"] - row["forecast"])
        assert row["currency"] == "EUR"


def test_people_are_one_row_with_seat_use_tokens_projects_and_sign_in(company: Company):
    truth = company.truth
    rows = {row["person"]: row for row in company.marts["people"]}
    seats = Counter(person for _, person, _ in truth.seats())
    tokens: Counter[str] = Counter()
    last_tokens: dict[str, dt.date] = {}
    for charge in truth.charges():
        if name := charge.fields["userName"]:
            tokens[str(name)] += truth.amount(charge)
            last_tokens[str(name)] = max(charge.day, last_tokens.get(str(name), dt.date.min))
    last_use: dict[str, dt.date] = {}
    for use in truth.uses:
        if use.person.team in truth.teams:
            key = truth.person(use.person)
            last_use[key] = max(use.day, last_use.get(key, dt.date.min))
    everybody = [person for person in truth.world.people if person.joined <= NOW]
    known = {person.email for person in everybody} | {
        truth.person(p) for team in truth.teams.values() for p in truth.members(team)
    }
    # Those whom Insights masks are known there by their hashed ID, if they have a seat or use it.
    assert rows.keys() <= known
    assert {person.email for person in everybody} <= rows.keys()
    for person in everybody:
        row = rows[person.email]
        masked = truth.teams[person.team].masked
        used = None if masked else last_use.get(person.email)
        projects, signed_in = truth.projects(person), truth.last_sign_in(person)
        active = largest([used, last_tokens.get(person.email), signed_in])
        assert row["person_name"] == person.name
        assert row["seats"] == (0 if masked else seats[person.email])
        assert row["last_used_on"] == used
        assert row["tokens"] == pytest.approx(tokens[person.email])
        assert row["last_tokens_on"] == last_tokens.get(person.email)
        assert row["projects"] == projects
        assert row["last_sign_in_on"] == signed_in
        assert row["last_active_on"] == active
        assert row["in_insights"] is not masked
        has_access = bool(row["seats"] or projects)
        idle = active is None or active < truth.today - dt.timedelta(days=90)
        assert row["access_without_activity"] is (has_access and idle)
    assert any(row["access_without_activity"] for row in rows.values())


def test_a_world_that_lives_has_what_the_questions_are_about(company: Company):
    """Were nobody idle and nothing late, the comparisons above would prove little."""
    marts = company.marts
    assert len({row["idle_for"] for row in marts["idle_seats"]}) >= 3
    assert {"seat", "flex"} <= {row["cheaper_by"] for row in marts["seat_or_flex"]}
    assert sum(row["overdue_issues"] for row in marts["issue_backlog"] if row["is_latest"])
    assert sum(row["answered_late"] for row in marts["rfi_turnaround"])
    assert sum(row["past_required_on_job"] for row in marts["submittal_backlog"])
    assert {row["status"] for row in company.truth.rows("issues_issues")} >= {"open", *OVER}


# The page.


def rendered(path: Path, to: Path) -> Path:
    with connect(str(path), "answers") as marts:
        to.write_text(page.render(marts, "Licences"), encoding="utf-8")
    return to


def test_the_page_has_a_picture_and_a_table_for_every_mart(company: Company, tmp_path: Path):
    text = rendered(company.paths["all"], tmp_path / "page.html").read_text(encoding="utf-8")
    for question in page.QUESTIONS.values():
        assert f'id="{question.mart}-table"' in text
        assert f'aria-describedby="{question.mart}-text {question.mart}-table"' in text
    assert "Without data" not in text
    balance = f"<b>{company.balance:,.0f}</b>"
    assert balance in text


def test_a_mart_has_a_picture_where_it_has_rows_and_only_there(company: Company, tmp_path: Path):
    for name, path in company.paths.items():
        text = rendered(path, tmp_path / "page.html").read_text(encoding="utf-8")
        for mart, rows in warehouses.marts(path).items():
            assert (f'id="{mart}-table"' in text) is bool(rows), (name, mart)


def test_postgres_gives_the_same_page(company: Company, postgres: Postgres, tmp_path: Path):
    address = f"postgresql://postgres@/postgres?host={postgres.folder}"
    with connect(address, "answers") as marts:
        left = page.render(marts, "Licences")
    right = rendered(company.paths["all"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert [line for line in left.splitlines() if "Made" not in line] == [
        line for line in right.splitlines() if "Made" not in line
    ]


def test_what_has_no_data_says_which_streams_to_select(company: Company, tmp_path: Path):
    text = rendered(company.paths["tokenflex"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'id="token_burndown-table"' in text
    missing = text.partition('id="missing"')[2]
    assert "<code>issues_issues</code>" in missing
    assert "<code>insights_subscriptions</code>" in missing
    assert "<code>tokenflex_usage</code>, <code>tokenflex_manual_usage</code>" not in missing
    nothing = rendered(company.paths["nothing"], tmp_path / "nothing.html")
    assert nothing.read_text(encoding="utf-8").count("<li>") == len(MARTS)


@pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed.")
def test_the_page_asks_for_nothing_and_has_no_error_on_any_screen(company: Company, tmp_path: Path):
    pages = [
        rendered(company.paths[name], tmp_path / f"{name}.html")
        for name in ("all", "hashed", "half of the columns", "nothing")
    ]
    with chromium.Chromium(tmp_path) as browser:
        browser.watch()
        for file in pages:
            for width, scheme in ((1280, "light"), (390, "dark")):
                browser.show(width, 900, scheme)
                browser.go(file.as_uri())
                browser.wait_for("document.readyState == 'complete' && !!window.drawn")
                browser.wait_for(
                    "document.querySelectorAll('.chart svg').length"
                    " == document.querySelectorAll('.chart').length"
                )
                assert browser.run("document.documentElement.scrollWidth") <= width
        asked = {
            event["params"]["request"]["url"]
            for event in browser.events
            if event["method"] == "Network.requestWillBeSent"
        }
        troubles = [
            event["params"]
            for event in browser.events
            if event["method"]
            in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
        ]
    assert asked == {file.as_uri() for file in pages}
    assert troubles == []


def test_the_warehouse_may_be_called_like_its_schema(company: Company, tmp_path: Path):
    path = tmp_path / "answers.duckdb"
    shutil.copy(company.paths["tokenflex"], path)
    with connect(str(path), "answers") as marts:
        assert marts.rows("SELECT count(*) AS days FROM {token_burndown}")[0]["days"]
