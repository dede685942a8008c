"""What Token Flex may do, as its switches and the faults of an export play it."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from support.sandbox_client import JOB_SECONDS, Client
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = dt.datetime(2026, 9, 10, 12, 0, tzinfo=dt.UTC)
WEEK = "usageDate >= '2026-08-03' and usageDate < '2026-08-10'"

Rows = list[dict[str, str]]


@pytest.fixture
def client() -> Iterator[Client]:
    with Sandbox(scale=0.2, job_seconds=JOB_SECONDS, clock=SandboxClock(NOW)) as sandbox:
        yield Client(sandbox)


def rows(client: Client, *fields: str, **body: Any) -> Rows:
    path = client.tokenflex(client.contract(), fields=list(fields), where=WEEK, **body)
    client.wait()
    data = client.fetch(client.get(path)["downloadUrl"]).content
    return list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))


def last(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/tokenflex/v1/usage/{client.contract()}/last")
    return found


def requests_path(client: Client, begin: str, end: str) -> str:
    return f"/tokenflex/v1/export/{client.contract()}/requests?fromDate={begin}&toDate={end}"


def test_a_contract_that_lacks_a_field_or_has_others(client: Client) -> None:
    before = client.get("/tokenflex/v1/contract")
    client.sandbox.faults.add(
        "edit",
        endpoint="contracts",
        edits={"1.colour": {"name": "red"}, "1.contractNumber": 110000900002},
        removed=["0.isActive"],
    )
    old, new = client.get("/tokenflex/v1/contract")
    assert old == {k: v for k, v in before[0].items() if k != "isActive"}
    assert new == {**before[1], "contractNumber": 110000900002, "colour": {"name": "red"}}
    assert client.get("/tokenflex/v1/contract") == before


@pytest.mark.parametrize(
    ("spelling", "desktop"),
    [
        ("documented", "DESKTOP_PRODUCT"),
        ("legacy", "PRODUCT_CONSUMPTION"),
        ("words", "Desktop product"),
        ("lower", "desktop_product"),
    ],
)
def test_last_usage_in_another_spelling_from_some_day_on(
    client: Client, spelling: str, desktop: str
) -> None:
    from_tomorrow = (NOW + dt.timedelta(days=1)).isoformat()
    client.sandbox.switch({"tokenflex": {"last_usage": spelling, "last_usage_from": from_tomorrow}})
    assert "DESKTOP_PRODUCT" in {entry["usageCategory"] for entry in last(client)}
    client.wait(86400)
    client.sandbox.settings()
    assert desktop in {entry["usageCategory"] for entry in last(client)}


def test_last_usage_answers_nothing_from_some_day_on_while_usage_goes_on(client: Client) -> None:
    from_tomorrow = (NOW + dt.timedelta(days=1)).isoformat()
    client.sandbox.switch({"tokenflex": {"last_usage": "empty", "last_usage_from": from_tomorrow}})
    assert last(client)
    client.wait(86400)
    client.sandbox.settings()
    assert last(client) == []
    assert rows(client, "usageDate", metrics=["tokensConsumed"])


def test_a_fault_can_hold_for_a_time_of_the_sandbox_s_clock(client: Client) -> None:
    client.sandbox.faults.add(
        "edit",
        endpoint="last",
        edits={"": []},
        times=None,
        since=(NOW + dt.timedelta(days=1)).isoformat(),
        until=(NOW + dt.timedelta(days=2)).isoformat(),
    )
    found = []
    for _ in range(3):
        found.append(bool(last(client)))
        client.wait(86400)
        client.sandbox.settings()
    assert found == [True, False, True]


def test_a_category_that_is_not_documented(client: Client) -> None:
    new_from = "2026-08-05"
    client.sandbox.switch(
        {"tokenflex": {"new_category": "AI_SERVICE", "new_category_from": new_from}}
    )
    fields = ("chargedItemID", "usageDate", "usageCategory")
    found = rows(client, *fields, usageCategory=["AI_SERVICE"], metrics=["tokensConsumed"])
    assert {row["usageCategory"] for row in found} == {"AI_SERVICE"}
    assert min(row["usageDate"] for row in found) == new_from
    services = rows(client, *fields, usageCategory=["CLOUD_SERVICE"], metrics=["tokensConsumed"])
    ids = [row["chargedItemID"] for row in found + services]
    assert len(set(ids)) == len(ids)
    assert "AI_SERVICE" in {row["usageCategory"] for row in rows(client, "usageCategory")}
    assert "AI_SERVICE" in {entry["usageCategory"] for entry in last(client)}
    summary = client.get(f"/tokenflex/v1/usage/{client.contract()}/summary")
    assert "AI_SERVICE" in {entry["usageCategory"] for entry in summary}


def test_without_the_switch_the_category_is_refused(client: Client) -> None:
    path = f"/tokenflex/v1/export/{client.contract()}/requests"
    body = {"fields": ["usageDate"], "usageCategory": ["AI_SERVICE"]}
    assert client.ask("POST", path, json=body).status_code == 400


def test_a_renamed_product_keeps_its_product_line_code(client: Client) -> None:
    fields = ("productLineCode", "productName", "customField2")
    before = rows(client, *fields, metrics=["tokensConsumed"])
    client.sandbox.switch({"names": {"products": {"Revit": "Revit X"}, "groups": {"MEP": "Pipes"}}})
    after = rows(client, *fields, metrics=["tokensConsumed"])
    renamed = {"Revit": "Revit X", "MEP": "Pipes"}
    assert after != before
    assert after == [{k: renamed.get(v, v) for k, v in row.items()} for row in before]
    assert rows(client, "usageDate", usageCategory=["DESKTOP_PRODUCT"])  # names are not filtered on


def test_the_person_is_in_machine_name_for_some_products(client: Client) -> None:
    fields = ("chargedItemID", "productLineCode", "userName", "machineName")
    body = {"usageCategory": ["DESKTOP_PRODUCT"], "metrics": ["tokensConsumed"]}
    before = rows(client, *fields, **body)
    client.sandbox.tokenflex.swapped_products = ["3DSMAX"]
    after = rows(client, *fields, **body)
    swapped = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert swapped
    for old, new in swapped:
        assert new["productLineCode"] == "3DSMAX"
        assert (new["userName"], new["machineName"]) == (old["machineName"], old["userName"])
        assert "@" in new["machineName"]
    client.sandbox.tokenflex.swapped_products = []
    assert rows(client, *fields, **body) == before


def test_the_list_takes_date_times_and_may_take_nothing_else(client: Client) -> None:
    rows(client, "usageDate")
    moments = "2026-09-01T00:00:00Z", "2026-09-20T00:00:00.000Z"
    dates = "2026-09-01", "2026-09-20"
    for given in (moments, dates):
        assert len(client.get(requests_path(client, *given))) == 1
    client.sandbox.tokenflex.date_times_only = True
    assert len(client.get(requests_path(client, *moments))) == 1
    assert client.ask("GET", requests_path(client, *dates)).status_code == 400


def test_a_request_is_listed_late_and_kept_for_a_time(client: Client) -> None:
    listed = requests_path(client, "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z")
    client.sandbox.switch({"tokenflex": {"listed_after": 600, "kept_days": 2}})
    path = client.tokenflex(client.contract(), fields=["usageDate"])
    client.wait(300)
    assert client.get(listed) == []
    assert client.get(path)["requestStatus"] == "Download"
    client.wait(300)
    assert [quote(one["requestKey"], safe="") for one in client.get(listed)] == [
        path.rpartition("/")[2]
    ]
    client.wait(2 * 86400)
    client.sandbox.settings()
    assert client.get(listed) == []
    assert client.ask("GET", path).status_code == 404


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_request_that_cannot_be_read_for_ever(client: Client, status: int) -> None:
    client.sandbox.faults.add("unreadable", api="tokenflex", status=status)
    path = client.tokenflex(client.contract(), fields=["usageDate"])
    client.wait()
    for method, address in (("GET", path), ("POST", f"{path}/refreshUrl"), ("DELETE", path)):
        assert client.ask(method, address).status_code == status
    assert len(client.get(requests_path(client, "2026-09-01T00:00Z", "2026-10-01T00:00Z"))) == 1


@pytest.mark.parametrize(
    ("effect", "link"), [("no_files", "absent"), ("null_files", None), ("dead_links", 403)]
)
def test_a_finished_request_without_a_link_that_works(
    client: Client, effect: str, link: str | int | None
) -> None:
    client.sandbox.faults.add(effect, api="tokenflex", status=403)
    path = client.tokenflex(client.contract(), fields=["usageDate"])
    client.wait()
    for answer in (client.get(path), client.ask("POST", f"{path}/refreshUrl").json()):
        assert answer["requestStatus"] == "Download"
        found = answer.get("downloadUrl", "absent")
        assert (client.fetch(found).status_code if effect == "dead_links" else found) == link


def test_a_file_that_says_in_words_that_there_are_no_data(client: Client) -> None:
    client.sandbox.faults.add("words", api="tokenflex", body="Keine Daten")
    path = client.tokenflex(client.contract(), fields=["usageDate"])
    client.wait()
    assert client.fetch(client.get(path)["downloadUrl"]).text == "Keine Daten\n"
