"""What Insights may do, as its switches and the faults of an export play it."""

from __future__ import annotations

import collections
import csv
import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from support.sandbox_client import JOB_SECONDS, Client
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = dt.datetime(2026, 9, 10, 12, 0, tzinfo=dt.UTC)
PERIOD = {"startDate": "2026-08-01T00:00:00Z", "endDate": "2026-08-31T00:00:00Z"}
DAILY = {"reports": ["USAGE"], **PERIOD}
BY_PRODUCT = {"reports": ["USAGE_REPORT"], "usageReports": ["USAGE_REPORT_BY_PRODUCT"], **PERIOD}
TEAM_ALIAS = {
    "snake": "team_alias", "title": "Team", "generation_x": "Team", "generation_1": "team_alias",
    "camel": "teamAlias", "words": "Team Alias", "upper": "TEAM_ALIAS",
}  # fmt: skip

Rows = list[dict[str, Any]]


@pytest.fixture
def client() -> Iterator[Client]:
    with Sandbox(scale=0.3, job_seconds=JOB_SECONDS, clock=SandboxClock(NOW)) as sandbox:
        yield Client(sandbox)


def files(client: Client, **body: Any) -> list[bytes]:
    """Export, and return the bytes of each download."""
    export = client.insights(**body)
    assert export["status"] == "COMPLETED"
    return [client.fetch(download["downloadURL"]).content for download in export["downloads"]]


def table(data: bytes) -> Rows:
    return list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))


def daily(client: Client) -> Rows:
    [data] = files(client, outputFormat="CSV", **DAILY)
    return table(data)


def by_product(client: Client) -> Rows:
    return table(files(client, outputFormat="CSV", **BY_PRODUCT)[-1])


def sheets(data: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: list(sheet.values) for sheet in book.worksheets}


# Several downloads of one type.


def test_usage_in_two_downloads_has_the_rows_of_one(client: Client) -> None:
    whole = daily(client)
    client.sandbox.insights.split_downloads = True
    export = client.insights(outputFormat="CSV", **DAILY)
    assert [download["type"] for download in export["downloads"]] == ["USAGE", "USAGE"]
    seats, tokens = (table(client.fetch(d["downloadURL"]).content) for d in export["downloads"])
    assert list(seats[0]) == list(tokens[0]) == [*whole[0], "tokens_used"]
    assert {row["tokens_used"] for row in seats} == {""}
    assert all(int(row["tokens_used"]) for row in tokens)
    shared = [{c: v for c, v in row.items() if c != "tokens_used"} for row in seats + tokens]
    assert sorted(map(str, shared)) == sorted(map(str, whole))


def test_two_downloads_say_the_same_in_every_format(client: Client) -> None:
    client.sandbox.insights.split_downloads = True
    seats, tokens = (table(data) for data in files(client, outputFormat="CSV", **DAILY))
    as_json = [json.loads(data) for data in files(client, outputFormat="JSON", **DAILY)]
    [book] = files(client, outputFormat="EXCEL", **DAILY)
    found = sheets(book)
    assert list(found) == ["Usage", "Usage 2"]
    assert found["Usage"][0] == found["Usage 2"][0] == tuple(seats[0])
    for rows, objects, lines in zip((seats, tokens), as_json, found.values(), strict=True):
        assert len(rows) == len(objects) == len(lines) - 1 > 10
        assert [row["email"] for row in rows] == [entry["email"] for entry in objects]
    [served] = [s for s in client.sandbox.served if s.name == "export.xlsx"]
    assert served.rows == len(seats) + len(tokens)


def test_the_usage_report_in_two_downloads_follows_its_filters(client: Client) -> None:
    whole = by_product(client)
    client.sandbox.insights.split_downloads = True
    filters, seats, tokens = files(client, outputFormat="CSV", **BY_PRODUCT)
    assert filters.startswith(b"Filter,Value\n")
    assert {row["access_option"] for row in table(seats)} == {"Subscription"}
    assert {row["access_option"] for row in table(tokens)} == {"Flex"}
    assert len(table(seats)) + len(table(tokens)) == len(whole)
    [book] = files(client, outputFormat="EXCEL", **BY_PRODUCT)
    assert list(sheets(book)) == ["Filters", "Usage Report", "Usage Report 2"]


# Spellings.


@pytest.mark.parametrize("spelling", TEAM_ALIAS)
@pytest.mark.parametrize("report", ["SUBSCRIPTIONS", "USERS", "USAGE", "USAGE_REPORT"])
def test_columns_in_every_spelling(client: Client, spelling: str, report: str) -> None:
    body = {**BY_PRODUCT, "reports": [report]}
    plain = table(files(client, outputFormat="CSV", **body)[-1])
    client.sandbox.insights.columns = spelling
    spelled = table(files(client, outputFormat="CSV", **body)[-1])
    shown = TEAM_ALIAS[spelling]
    assert [row[shown] for row in spelled] == [row["team_alias"] for row in plain]
    [objects] = [files(client, outputFormat="JSON", **body)[-1]]
    assert f'"{shown}":'.encode() in objects


@pytest.mark.parametrize(
    ("spelling", "report", "missing"),
    [
        ("generation_x", "USERS", {"account_status"}),
        ("generation_x", "USAGE_REPORT", {"hashed_autodesk_id", "autodesk_id"}),
        ("generation_1", "USERS", {"account_status"}),
        ("title", "USERS", set()),
    ],
)
def test_generations_list_their_own_columns(
    client: Client, spelling: str, report: str, missing: set[str]
) -> None:
    body = {**BY_PRODUCT, "reports": [report]}
    plain = table(files(client, outputFormat="CSV", **body)[-1])
    client.sandbox.insights.columns = spelling
    shown = table(files(client, outputFormat="CSV", **body)[-1])
    assert len(plain[0]) - len(shown[0]) == len(missing)
    assert not missing & set(shown[0])


# Renames.


def test_a_renamed_team_has_another_alias_and_the_same_rows(client: Client) -> None:
    team = client.get("/insights/v1/contexts")[0]
    before = [daily(client), by_product(client)]
    client.sandbox.names.teams[team["contextId"]] = "Studio of the North"
    contexts = client.get("/insights/v1/contexts")
    assert (contexts[0]["alias"], contexts[0]["contextId"]) == (
        "Studio of the North", team["contextId"],
    )  # fmt: skip
    after = [daily(client), by_product(client)]
    for old, new in zip(before, after, strict=True):
        changed = [
            {**row, "team_alias": "Studio of the North"}
            if row["team_alias"] == team["alias"]
            else row
            for row in old
        ]
        assert changed != old
        assert new == changed
    export = client.insights(outputFormat="CSV", reports=["USERS"], teamId=team["contextId"])
    assert export["teamName"] == "Studio of the North"


@pytest.mark.parametrize(
    ("kind", "column", "old"),
    [
        ("offerings", "offering_name", "Architecture Engineering & Construction Collection"),
        ("products", "product_name", "AutoCAD"),
        ("groups", "group", "Structures"),
    ],
)
def test_renamed_offerings_products_and_groups(
    client: Client, kind: str, column: str, old: str
) -> None:
    read = by_product if kind == "groups" else daily
    before = read(client)
    client.sandbox.switch({"names": {kind: {old: "Renamed"}}})
    after = read(client)
    assert any(row[column] == old for row in before)
    assert after == [
        {**row, column: "Renamed" if row[column] == old else row[column]} for row in before
    ]


def test_a_filter_by_group_or_product_line_outlives_a_rename(client: Client) -> None:
    def count(**filters: Any) -> int:
        return len(table(files(client, outputFormat="CSV", filters=filters, **BY_PRODUCT)[-1]))

    before = count(productLineCode=["CIV3D"]), count(groupId=["MEP"])
    client.sandbox.names.change({"offerings": {"Civil 3D": "Civil"}, "groups": {"MEP": "Pipes"}})
    assert (count(productLineCode=["CIV3D"]), count(groupId=["MEP"])) == before
    assert min(before) > 0


# Access options.


def test_one_person_has_an_offering_by_seat_and_by_token(client: Client) -> None:
    client.sandbox.insights.mixed_access = True
    rows = by_product(client)
    options = collections.defaultdict(list)
    for row in rows:
        options[row["hashed_autodesk_id"], row["offering_name"]].append(row["access_option"])
    both = [key for key, found in options.items() if found == ["Subscription", "Flex"]]
    assert both
    assert {len(found) for found in options.values()} == {1, 2}
    days = collections.Counter(
        (row["hashed_autodesk_id"], row["offering_name"], row["access_option"])
        for row in {tuple(r.values()): r for r in daily(client)}.values()
    )
    for row in rows:
        if row["access_option"] == "Flex":
            key = row["hashed_autodesk_id"], row["offering_name"], "Flex"
            assert int(row["days_used"]) <= days[key]
            assert (int(row["tokens_used"]) > 0) is (int(row["days_used"]) > 0)


def test_the_token_row_is_gone_on_the_next_day(client: Client) -> None:
    tomorrow = (NOW + dt.timedelta(days=1)).isoformat()
    client.sandbox.switch({"insights": {"mixed_access": True, "token_rows_until": tomorrow}})
    first = by_product(client)
    client.wait(86400)
    client.sandbox.settings()
    second = by_product(client)
    gone = {tuple(row.values()) for row in first} - {tuple(row.values()) for row in second}
    people = {(row["hashed_autodesk_id"], row["offering_name"]) for row in second}
    tokens = [row for row in gone if "Flex" in row]
    assert tokens
    assert len(people) == len(second)
    assert {(row["hashed_autodesk_id"], row["offering_name"]) for row in first} == people


# Lists, retention, and exports with something wrong.


def test_an_export_is_listed_late(client: Client) -> None:
    client.sandbox.insights.listed_after = 600
    export = client.insights(outputFormat="CSV", reports=["USERS"])
    for path in ("/insights/v1/exports", "/insights/v1/exports?limit=1&offset=0"):
        assert client.get(path)["pagination"]["totalResults"] == 0
    assert client.get(f"/insights/v1/exports/{export['id']}")["status"] == "COMPLETED"
    client.wait(600)
    assert [one["id"] for one in client.get("/insights/v1/exports")["exports"]] == [export["id"]]


def test_exports_are_kept_for_as_long_as_is_set(client: Client) -> None:
    client.sandbox.insights.kept_days = 0.5
    export = client.insights(outputFormat="CSV", reports=["USERS"])
    client.wait(86400)
    client.sandbox.settings()
    assert client.get("/insights/v1/exports")["exports"] == []
    assert client.ask("GET", f"/insights/v1/exports/{export['id']}").status_code == 404


@pytest.mark.parametrize(("effect", "downloads"), [("no_files", []), ("null_files", None)])
def test_a_completed_export_without_downloads(
    client: Client, effect: str, downloads: list[Any] | None
) -> None:
    client.sandbox.faults.add(effect, api="insights")
    export = client.insights(outputFormat="CSV", reports=["USERS"])
    assert (export["status"], export["downloads"]) == ("COMPLETED", downloads)
    [listed] = client.get("/insights/v1/exports")["exports"]
    assert listed["downloads"] == downloads
    assert client.insights(outputFormat="CSV", reports=["USERS"])["downloads"]


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_an_export_that_cannot_be_read_for_ever(client: Client, status: int) -> None:
    client.sandbox.faults.add("unreadable", api="insights", status=status)
    posted = client.ask(
        "POST", "/insights/v1/exports", json={"outputFormat": "CSV", "reports": ["USERS"]}
    ).json()
    path = f"/insights/v1/exports/{posted['id']}"
    for _ in range(3):
        client.wait(86400)
        client.sandbox.settings()
        assert client.ask("GET", path).status_code == status
    assert [e["id"] for e in client.get("/insights/v1/exports")["exports"]] == [posted["id"]]
    assert client.insights(outputFormat="CSV", reports=["USERS"])["status"] == "COMPLETED"


@pytest.mark.parametrize("status", [403, 404])
def test_fresh_links_that_are_dead_for_ever(client: Client, status: int) -> None:
    client.sandbox.faults.add("dead_links", api="insights", status=status)
    export = client.insights(outputFormat="CSV", reports=["USERS"])
    for _ in range(3):
        again = client.get(f"/insights/v1/exports/{export['id']}")
        answer = client.fetch(again["downloads"][0]["downloadURL"])
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/xml")
    assert not [served for served in client.sandbox.served if served.path]


@pytest.mark.parametrize("kind", ["CSV", "JSON", "EXCEL"])
def test_a_file_that_says_in_words_that_there_are_no_data(client: Client, kind: str) -> None:
    client.sandbox.faults.add("words", api="insights")
    [data] = files(client, outputFormat=kind, **DAILY)
    words = "No data available for the selected criteria"
    if kind == "EXCEL":
        assert list(sheets(data).values()) == [[(words,)]]
    else:
        assert words.encode() in data
        assert data.count(b"\n") == (kind == "CSV")
    [served] = [one for one in client.sandbox.served if one.path]
    assert served.rows == 0


@pytest.mark.parametrize(
    ("paging", "expected"),
    [
        ("documented", [[4, 3], [2, 1], [0], []]),
        ("ignores_offset", [[4, 3], [4, 3], [4, 3], [4, 3]]),
        ("repeats", [[4, 3], [2, 1], [0, 4], [3, 2]]),
        ("shifts", [[4, 3], [3, 2], [2, 1], [1, 0]]),
        ("counts_page", [[4, 3], [2, 1], [0], []]),
    ],
)
def test_pages_that_are_wrong(client: Client, paging: str, expected: list[list[int]]) -> None:
    client.sandbox.insights.paging = paging
    ids = [client.insights(outputFormat="CSV", reports=["USERS"])["id"] for _ in range(5)]
    pages = [client.get(f"/insights/v1/exports?limit=2&offset={n}") for n in (0, 2, 4, 6)]
    assert [[ids.index(one["id"]) for one in page["exports"]] for page in pages] == expected
    totals = [page["pagination"]["totalResults"] for page in pages]
    wrong = {"repeats": [7, 9, 11, 13], "shifts": [5, 6, 7, 8], "counts_page": [2, 2, 1, 0]}
    assert totals == wrong.get(paging, [5] * 4)


def test_a_list_that_grows_without_end(client: Client) -> None:
    client.sandbox.insights.paging = "grows"
    known = client.insights(outputFormat="CSV", reports=["USERS"])["id"]
    seen: list[str] = []
    for offset in range(0, 20, 5):
        page = client.get(f"/insights/v1/exports?limit=5&offset={offset}")
        seen += [one["id"] for one in page["exports"]]
        assert page["pagination"]["totalResults"] > offset + 5
    assert seen[0] == known
    assert len(set(seen)) == 20
