"""Nothing stays stuck and nothing is requested twice: lost answers, late lists, dead exports."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import threading

import pytest

from support.made_up_service import FastClock, LostAnswerError, MadeUpService
from tap_autodesk_exports import threads
from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.export import (
    ExportError,
    ExportSpec,
    Loaded,
    NoFiles,
    NotAvailable,
    NotFinished,
    NotUnderstood,
    PendingExport,
    QuotaUsedUp,
    Status,
)
from tap_autodesk_exports.exports.ledger import Ledger
from tap_autodesk_exports.exports.runner import STUCK, Runner
from tap_autodesk_exports.exports.submission import SEARCHED

SPEC = ExportSpec(api="made-up", owner="team", name="stream", slot="2026-01", body={"a": 1})
PENDING, READY, FAILED, GONE = Status.PENDING, Status.READY, Status.FAILED, Status.GONE
HOUR = 3600.0


def as_json(entries):
    return json.loads(json.dumps(entries))


class World:
    """A service and a clock that outlive the runs; each run begins with the state of the last.

    Attributes:
        state: The pending exports as the last run left them.
    """

    def __init__(self, *ends):
        self.service = MadeUpService(*ends)
        self.clock = FastClock()
        self.state = []
        self.states = []
        self.open = []

    def begin(self, **settings):
        def publish():
            self.states.append(ledger.entries())

        ledger = Ledger(self.state, threading.RLock(), publish)
        runner = Runner(
            {"made-up": self.service},
            ledger,
            self.clock,
            threading.Event(),
            **{"at_once": 4, "longest_pause": None, "timeout": 24 * HOUR, **settings},
        )
        runner.ledger = ledger
        self.open.append(runner)
        return runner

    def run(self, spec=SPEC, *, loaded=(), **settings):
        """Run to the end, and return the export, or raise why there is none."""
        runner = self.begin(**settings)
        try:
            runner.start(spec, Loaded.of([Loaded(tuple(loaded))]))
            return runner.result(spec)
        finally:
            self.state = as_json(runner.ledger.entries())

    @property
    def requested(self):
        return len(self.service.submitted)


@pytest.fixture
def world():
    made = []

    def make(*ends):
        made.append(World(*ends))
        return made[-1]

    yield make
    for each in made:
        for runner in each.open:
            runner.close()


def lose(_):
    raise LostAnswerError("The answer was lost.")


# Never requested twice


@pytest.mark.parametrize("late", [0.0, 1.0, 10.0, 45.0, SEARCHED])
def test_a_lost_answer_is_searched_for_a_minute_before_anything_is_requested(world, late):
    one = world([READY])
    one.service.fail_submit = lose
    begun = one.clock.seconds
    find = one.service.find_lost
    one.service.find_lost = lambda *given: (
        find(*given) if one.clock.seconds - begun >= late else None
    )
    assert one.run().export_id == "export-1"
    assert one.requested == 1


def test_the_search_looks_ever_more_rarely(world):
    one = world([READY])
    one.service.fail_submit = lose
    one.service.find_lost = lambda *_: one.service.log.append("find")
    one.service.attempts = 1
    with pytest.raises(LostAnswerError):
        one.run()
    assert one.service.log.count("find") <= 7
    assert all(b > a for a, b in zip(one.clock.waits, one.clock.waits[1:-1], strict=False))
    assert SEARCHED <= one.clock.seconds <= 1.2 * SEARCHED
    assert [entry["id"] for entry in one.state] == [None]  # the next run searches once more


def test_a_killed_run_s_export_is_searched_for_as_long(world):
    """It was killed between request and answer, and the list is late."""
    one = world([READY])
    one.run()
    one.state = one.states[0]
    assert one.state[0]["id"] is None
    listed = one.clock.seconds + 40
    find = one.service.find_lost
    one.service.find_lost = lambda *given: find(*given) if one.clock.seconds >= listed else None
    assert one.run().export_id == "export-1"
    assert one.requested == 1


def test_what_is_old_is_looked_for_once(world):
    one = world([READY], [READY])
    one.run()
    one.state = one.states[0]
    one.clock.seconds += HOUR
    one.service.find_lost = lambda *_: one.service.log.append("find")
    assert one.run().export_id == "export-2"
    assert one.service.log.count("find") == 1


def test_a_list_that_cannot_be_read_leaves_the_export_to_the_next_run(world):
    one = world([READY])
    one.service.fail_submit = lose

    def refuse(*_):
        raise TapError("The list is not available.")

    find, one.service.find_lost = one.service.find_lost, refuse
    with pytest.raises(TapError, match="list is not available"):
        one.run()
    one.service.find_lost = find
    assert one.run().export_id == "export-1"
    assert one.requested == 1


def test_an_existing_export_is_used_and_noted(world):
    one = world([READY])
    first = one.run()
    one.state = []
    asked = []

    def existing(wanted, known):
        asked.append((wanted.loaded, list(known)))
        return dataclasses.replace(wanted, id="export-1")

    one.service.find_existing = existing
    again = one.run(loaded=["an-export", "2026-01-01", "an-export"])
    assert again.export_id == first.export_id
    assert one.requested == 1
    assert asked == [(("2026-01-01", "an-export"), [])]
    assert [entry["id"] for entry in one.state] == ["export-1"]


def test_what_was_planned_from_the_same_state_has_the_same_mark():
    def base(*loaded):
        return PendingExport(SPEC, canonical(FastClock().now()), loaded=loaded).base

    assert base() == ""
    assert base("a", "b") == base("b", "a") != base("a")


# Nothing stays stuck


def refuse_by_id(service, *dead, error=NotAvailable):
    poll = service.poll

    def refuse(pending):
        if pending.id in dead:
            service.log.append(f"refused {pending.id}")
            raise error(f"Export {pending.id} was refused.")
        return poll(pending)

    service.poll = refuse


def test_what_is_refused_is_resumed_once_and_then_requested_again(world):
    one = world([READY], [READY])
    refuse_by_id(one.service, "export-1")
    with pytest.raises(NotAvailable, match=r"export-1 was refused\. It stays pending: run again"):
        one.run()
    assert one.requested == 1  # not in the run that requested it
    assert [entry["id"] for entry in one.state] == ["export-1"]
    assert one.run().export_id == "export-2"
    assert one.requested == 2
    assert [entry["id"] for entry in one.state] == ["export-2"]


def test_it_is_requested_again_at_most_once_a_run(world):
    one = world([READY], [READY], [READY])
    refuse_by_id(one.service, "export-1", "export-2", "export-3")
    for run in range(1, 4):
        with pytest.raises(NotAvailable, match="run again"):
            one.run()
        assert one.requested == run


def test_what_the_server_does_not_know_is_requested_again_once_a_run(world):
    one = world([GONE], [GONE], [GONE], [READY])
    with pytest.raises(ExportError, match="is 'gone'"):
        one.run()
    assert one.requested == 2
    assert one.run().export_id == "export-4"


def test_a_request_that_is_refused_leaves_the_one_before_pending(world):
    one = world([READY], [READY])
    refuse_by_id(one.service, "export-1")
    with pytest.raises(NotAvailable):
        one.run()

    def full(_):
        raise QuotaUsedUp("No more today.")

    one.service.fail_submit = full
    with pytest.raises(QuotaUsedUp):
        one.run()
    assert [entry["id"] for entry in one.state] == ["export-1"]


def test_what_is_queued_for_ever_is_requested_again(world):
    one = world([PENDING], [PENDING], [READY])
    for _ in range(2):
        # A run waits for as long as the settings say; the next one asks once more.
        with pytest.raises(NotFinished, match="It stays pending: the next run resumes it"):
            one.run()
        one.clock.seconds += HOUR
    assert one.requested == 2
    assert one.run().export_id == "export-3"


def test_what_takes_long_is_waited_for_in_several_runs(world):
    """Short runs, each an hour apart: a day is enough for what is documented to take minutes."""
    one = world([PENDING] * 24 + [READY])
    for _ in range(8):
        with pytest.raises(NotFinished):
            one.run(timeout=1.0)
        one.clock.seconds += HOUR
    while True:
        try:
            assert one.run(timeout=1.0).export_id == "export-1"
        except NotFinished:
            one.clock.seconds += 60
        else:
            break
    assert one.requested == 1
    assert dt.timedelta(seconds=one.clock.seconds) < STUCK


def test_a_longer_timeout_in_the_settings_means_a_longer_wait(world):
    one = world([PENDING] * 3 + [READY])
    with pytest.raises(NotFinished):
        one.run(timeout=1.0)
    one.clock.seconds += 50 * HOUR
    assert one.run(timeout=72 * HOUR).export_id == "export-1"


def test_files_that_are_not_named_are_waited_for_and_then_given_up(world):
    one = world([READY], [READY])
    refuse_by_id(one.service, "export-1", error=NoFiles)
    with pytest.raises(NoFiles, match="run again"):
        one.run()
    assert 30 < one.clock.seconds < 90
    assert one.run().export_id == "export-2"


def test_files_that_are_named_a_little_later_are_used(world):
    one = world([READY])
    refuse_by_id(one.service, "export-1", error=NoFiles)
    poll, refused = MadeUpService.poll, one.service.poll
    one.service.poll = lambda pending: (
        refused(pending) if one.clock.seconds < 20 else poll(one.service, pending)
    )
    assert one.run().export_id == "export-1"


def test_a_status_that_nobody_knows_is_waited_for_a_day(world):
    one = world([READY], [READY])
    refuse_by_id(one.service, "export-1", error=NotUnderstood)
    for _ in range(3):
        with pytest.raises(NotUnderstood, match="It stays pending: run again"):
            one.run()
    assert one.requested == 1
    one.clock.seconds += 25 * HOUR
    assert one.run().export_id == "export-2"


def test_an_error_of_the_api_is_no_reason_to_request_again(world):
    one = world([PENDING, READY])
    poll = one.service.poll

    def fail(_):
        raise TapError("The host cannot be reached.")

    one.service.poll = fail
    for _ in range(3):
        with pytest.raises(TapError, match="cannot be reached"):
            one.run()
    one.service.poll = poll
    assert one.run().export_id == "export-1"
    assert one.requested == 1


def test_an_api_that_answers_no_request_is_asked_by_two_exports_and_not_by_all(world):
    """Each would be searched for, for a minute and more."""
    one = world()
    one.service.fail_submit = lose
    one.service.find_lost = lambda *_: None
    specs = [dataclasses.replace(SPEC, slot=f"2026-{month:02}") for month in range(1, 13)]
    runner = one.begin(at_once=16)
    for spec in specs:
        runner.start(spec)
    for spec in specs:
        with pytest.raises(LostAnswerError):
            runner.result(spec)
    assert one.requested == 2 * one.service.attempts
    assert len(runner.ledger.entries()) == 2
    assert one.clock.seconds < 7 * SEARCHED


def test_one_export_whose_request_is_never_answered_stops_no_other(world):
    one = world(*[[READY]] * 20)
    specs = [dataclasses.replace(SPEC, slot=f"2026-{month:02}") for month in range(1, 7)]

    def lose_one(number):
        if one.service.submitted[number - 1].spec == specs[2]:
            lose(number)

    one.service.fail_submit = lose_one
    one.service.find_lost = lambda *_: None
    runner = one.begin(at_once=16)
    for spec in specs:
        runner.start(spec)
    for spec in specs:
        if spec is specs[2]:
            with pytest.raises(LostAnswerError):
                runner.result(spec)
        else:
            assert runner.result(spec).export_id


# Files that are of no use


def test_what_has_no_use_is_replaced_once_for_all_who_need_it(world):
    one = world([READY], [READY])
    one.run()
    runner = one.begin()
    runner.start(SPEC)
    resumed = runner.result(SPEC)
    another = runner.another(SPEC, resumed, NotAvailable())
    assert another.export_id == "export-2"
    of_another_table = runner.another(SPEC, resumed, NotAvailable())
    assert of_another_table is another
    assert runner.another(SPEC, another, NotAvailable()) is None  # at most once a run
    assert one.requested == 2


def test_what_this_run_requested_is_not_replaced(world):
    one = world([READY])
    runner = one.begin()
    runner.start(SPEC)
    assert runner.another(SPEC, runner.result(SPEC), NotAvailable()) is None
    assert one.requested == 1


def test_what_was_given_up_is_not_used_again_by_whatever_way(world):
    one = world([READY], [READY])
    runner = one.begin()
    runner.start(SPEC)
    runner.result(SPEC)
    runner.give_up(SPEC)
    assert runner.ledger.pending(SPEC.key) is None
    one.state = as_json(runner.ledger.entries())
    seen = []
    one.service.find_existing = lambda _, known: seen.extend(known)
    assert one.run().export_id == "export-2"
    assert seen == ["export-1"]
    assert one.state[0]["given_up"] == ["export-1"]


# The state


def entry(**changes):
    return {
        "spec": {"api": "made-up", "owner": "team", "name": "stream", "slot": "2026-01",
                 "body": {"a": 1}, "start": None, "end": None, "existing": None},
        "asked_at": canonical(FastClock().now()), "mark": None, "id": "export-1", **changes,
    }  # fmt: skip


def test_the_keys_of_the_state_are_those_of_earlier_releases(world):
    one = world([READY])
    one.run()
    assert set(one.state[0]) == {"spec", "asked_at", "mark", "id"}
    assert set(one.state[0]["spec"]) == set(entry()["spec"])


@pytest.mark.parametrize(
    "newer",
    [
        entry(later=1, priority={"a": []}),
        {**entry(), "spec": {**entry()["spec"], "later": [1]}},
        entry(loaded=["x"], given_up=["y"]),
    ],
)
def test_keys_of_a_newer_release_are_left_aside(world, newer, caplog):
    one = world([READY], [READY])
    one.state = [newer]
    one.service.submitted.append(None)
    assert one.run().export_id == "export-1"
    assert one.requested == 1
    assert "cannot be read" not in caplog.text


UNREADABLE = {
    "null": None,
    "a number": 5,
    "text": "export-1",
    "a list": [],
    "nothing": {},
    "a spec that is text": entry(spec="made-up"),
    "a spec that is null": entry(spec=None),
    "no name": {**entry(), "spec": {**entry()["spec"], "name": None}},
    "a body that is a list": {**entry(), "spec": {**entry()["spec"], "body": []}},
    "a start that is a number": {**entry(), "spec": {**entry()["spec"], "start": 1}},
    "no moment": entry(asked_at=None),
    "an ID that is an object": entry(id={}),
    "IDs that are numbers": entry(given_up=[1]),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_named_and_ignored_and_the_rest_is_used(world, what, caplog):
    one = world([READY], [READY])
    one.state = [UNREADABLE[what], entry()]
    one.service.submitted.append(None)
    assert one.run().export_id == "export-1"
    assert "Entry 0 of the pending exports in the state cannot be read" in caplog.text
    assert [each["id"] for each in one.state] == ["export-1"]


@pytest.mark.parametrize("state", [None, {}, 7, "text", True])
def test_a_state_that_is_no_list_is_none(world, state, caplog):
    one = world([READY])
    one.state = state
    assert one.run().export_id == "export-1"
    assert ("is not a list" in caplog.text) is (state is not None)


def test_exports_are_forgotten_when_their_api_has_deleted_them(world):
    one = world([READY])
    one.state = [entry()]
    ledger = one.begin().ledger
    now = one.clock.now()
    ledger.forget_expired(now + dt.timedelta(days=13), {"made-up": dt.timedelta(days=14)})
    assert ledger.pending(SPEC.key)
    ledger.forget_expired(now + dt.timedelta(days=15), {"made-up": dt.timedelta(days=14)})
    assert ledger.entries() == []


@pytest.mark.parametrize("moment", ["yesterday", "", "9999-12-31T00:00:00.000000Z"])
def test_a_moment_that_is_none_counts_as_long_ago(world, moment):
    one = world([READY])
    one.state = [entry(asked_at=moment)]
    ledger = one.begin().ledger
    ledger.forget_expired(one.clock.now(), {})
    assert ledger.entries() == []


# Threads


def test_a_thread_that_cannot_be_started_is_an_error_and_no_wait_for_ever(world, monkeypatch):
    one = world([READY])
    runner = one.begin()

    def none(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    runner.start(SPEC)
    with pytest.raises(threads.NoThread, match="max_concurrent_exports"):
        runner.result(SPEC)
    assert one.requested == 0
