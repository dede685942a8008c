"""Ten thousand accounts over thirty days: no limit of Autodesk's is passed, none grows too old.

Documented limits: 24 jobs in 24 hours for an account and for a user; ten service accounts, which
are users, and 60 requests a minute for a client ID.
"""

from __future__ import annotations

import datetime as dt
import io
import random
from collections import Counter, defaultdict

import pytest
from click.testing import CliRunner

from tap_autodesk_exports.cli import main
from tap_autodesk_exports.plan.accounts import FIELDS, HOURS, Slot, read, schedule, write
from tap_autodesk_exports.sandbox.data_connector.quota import Jobs

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
QUOTA = 24
REQUESTS_A_MINUTE = 60
REQUESTS_OF_A_RUN = (*[0.0] * 8, *(0.5 * n for n in range(60)), *[30.0] * 12)
"""Minutes after its start at which a run sends requests: to plan and submit, to poll every half
minute for half an hour, to list and fetch. That is as many as any run was seen to send."""
LATEST = 50.0
"""Minutes by which a run may start late."""
FAILING = 0.5
"""Share of the days on which a job of a service account fails, about."""
ACCOUNTS = [f"account {n}" for n in range(10_000)]


def user(slot: Slot) -> str:
    return f"user {slot.client} {slot.service_account}"


def simulate(slots: dict[str, Slot], days: int, cycle: int) -> dict[str, list[dt.datetime]]:
    """Return account -> when its extracts were taken; no quota may be passed.

    On some days, one job of a service account fails, and is requested again in the free hours.
    """
    chance, jobs = random.Random(1), Jobs()  # noqa: S311
    taken: dict[str, list[dt.datetime]] = defaultdict(list)
    by_day = defaultdict(list)
    for account, slot in slots.items():
        by_day[slot.day - 1].append((account, slot))
    for day in range(days):
        start, tries, failing = NOW + day * DAY, [], set()
        for account, slot in by_day[day % cycle]:
            if user(slot) not in failing and chance.random() < FAILING / HOURS:
                failing.add(user(slot))
                tries.append((HOURS, slot, account, True))
                tries.append((slot.hour, slot, account, False))
            else:
                tries.append((slot.hour, slot, account, True))
        for hour, slot, account, succeeds in sorted(tries):
            late = chance.uniform(0, LATEST)
            at = start + dt.timedelta(hours=hour, minutes=slot.minute + late)
            owners = {account: QUOTA, user(slot): QUOTA}
            assert jobs.have_room(at, owners)
            jobs.add(at, *owners)
            if succeeds:
                taken[account].append(at)
    return taken


@pytest.mark.parametrize(("cycle", "clients"), [(1, 46), (7, 7), (30, 2)])
def test_no_limit_is_passed_and_no_account_is_older_than_promised(cycle, clients):
    slots = schedule(((account, None) for account in ACCOUNTS), cycle)
    assert len(set(slots.values())) == len(ACCOUNTS)
    assert max(slot.client for slot in slots.values()) == clients
    days = max(30, 2 * cycle)
    taken = simulate(slots, days, cycle)
    end = NOW + days * DAY
    oldest = max(
        later - earlier
        for at in taken.values()
        for earlier, later in zip(at, [*at[1:], end], strict=True)
    )
    assert set(taken) == set(ACCOUNTS)
    assert oldest <= (cycle + 1) * DAY


def test_the_service_accounts_of_a_client_send_no_more_than_sixty_requests_a_minute():
    slots = schedule(((account, None) for account in ACCOUNTS), 1)
    of_first = [slot for slot in slots.values() if slot.client == 1]
    assert len(of_first) == 220
    sent = Counter(
        int(slot.hour * 60 + slot.minute + offset)
        for slot in of_first
        for offset in REQUESTS_OF_A_RUN
    )
    assert max(sent.values()) <= REQUESTS_A_MINUTE


def test_an_account_keeps_its_slot_when_others_come_and_go(tmp_path):
    first = schedule(((account, None) for account in ACCOUNTS[:500]), 1)
    text = io.StringIO()
    write({account: slot for account, slot in first.items() if account != ACCOUNTS[3]}, text)
    file = tmp_path / "accounts.csv"
    file.write_text(text.getvalue() + "new one\nb.new two\n\n")
    with file.open() as again:
        second = schedule(read(again, 1), 1)
    assert {account: second[account] for account in first if account in second} == {
        account: slot for account, slot in first.items() if account != ACCOUNTS[3]
    }
    assert second["new one"] == first[ACCOUNTS[3]]
    assert second["new two"] not in first.values()


def test_the_schedule_is_printed_as_it_can_be_read_again(tmp_path):
    file = tmp_path / "accounts.txt"
    file.write_text("".join(f"{account}\n" for account in ACCOUNTS[:300]))
    printed = CliRunner().invoke(main, ["plan", "--accounts-file", str(file)])
    assert printed.exit_code == 0, printed.output
    header, *lines = printed.output.splitlines()
    assert header == ",".join(FIELDS) == "account_id,client,hour,service_account,day,minute"
    assert lines[0] == "account 0,1,0,1,1,0"
    assert lines[-1].startswith("account 299,2,")
    file.write_text(printed.output)
    again = CliRunner().invoke(main, ["plan", "--accounts-file", str(file)])
    assert again.output == printed.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one,1,0,1,1\ntwo,1,0,1,1\n", "one and two the same slot"),
        ("one\none\n", "names account one twice"),
        ("one,1,22,1,1\n", "Line 1 of the accounts file has no slot of a schedule of 1 days"),
        ("one,x\n", "Line 1 of the accounts file has no slot"),
    ],
)
def test_a_file_that_makes_no_schedule_is_refused_with_a_sentence(tmp_path, text, said):
    file = tmp_path / "accounts.csv"
    file.write_text(text)
    done = CliRunner().invoke(main, ["plan", "--accounts-file", str(file)])
    assert done.exit_code == 1
    assert said in done.output


@pytest.mark.parametrize("options", [[], ["--workers", "2", "--accounts-file", "-"]])
def test_either_workers_or_accounts_are_planned(options):
    done = CliRunner().invoke(main, ["plan", *options], input="")
    assert done.exit_code == 2
    assert "either --workers or --accounts-file" in done.output


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 300_000, '"a"'.encode("utf-16")])
def test_an_accounts_file_that_cannot_be_read_is_one_sentence(tmp_path, content):
    file = tmp_path / "accounts.csv"
    file.write_bytes(content)
    done = CliRunner().invoke(main, ["plan", "--accounts-file", str(file)])
    assert done.exit_code == 1
    assert done.output.startswith("Error: The accounts file cannot be read")
