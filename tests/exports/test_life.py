"""The life of an export: none is lost, none is asked for twice, none is waited for for ever."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.made_up_service import FastClock, LostAnswerError, MadeUpService
from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.exports.export import (
    ExportError,
    ExportSpec,
    NotFinished,
    Status,
    status_of,
)
from tap_autodesk_exports.exports.ledger import Ledger
from tap_autodesk_exports.exports.runner import GROWTH, Runner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPEC = ExportSpec(api="made-up", owner="team", name="stream", slot="2026-01", body={"a": 1})
PENDING, READY, FAILED = Status.PENDING, Status.READY, Status.FAILED


class Life:
    """One run with one service."""

    def __init__(self, service: MadeUpService, entries: Iterable[dict[str, Any]] = ()) -> None:
        self.clock = FastClock()
        self.stop = threading.Event()
        self.states: list[list[dict[str, Any]]] = []
        self.ledger = Ledger(entries, threading.RLock(), self._publish)
        self._service = service
        self.runner = Runner(
            {"made-up": service},
            self.ledger,
            self.clock,
            self.stop,
            at_once=4,
            longest_pause=None,
            timeout=3600,
        )

    def _publish(self) -> None:
        entries = self.ledger.entries()
        self.states.append(entries)
        self._service.log.append(f"state {[entry['id'] for entry in entries]}")

    def is_killed(self) -> None:
        """Have the run end in its first pause."""
        self.clock.wait = lambda _, __: True

    def result(self, spec: ExportSpec = SPEC):
        self.runner.start(spec)
        return self.runner.result(spec)


@pytest.fixture
def lives() -> Iterator[list[Life]]:
    begun: list[Life] = []
    yield begun
    for life in begun:
        life.runner.close()


@pytest.fixture
def live(lives):
    def begin(service: MadeUpService, entries: Iterable[dict[str, Any]] = ()) -> Life:
        lives.append(Life(service, entries))
        return lives[-1]

    return begin


def test_the_id_is_in_the_state_before_the_first_look(live):
    service = MadeUpService([PENDING, READY])
    finished = live(service).result()
    assert finished.export_id == "export-1"
    assert service.log == [
        "state [None]",
        "submit export-1",
        "state ['export-1']",
        "poll export-1",
        "poll export-1",
    ]


def test_two_streams_that_need_one_export_share_it(live):
    service = MadeUpService([READY])
    life = live(service)
    assert life.result() is life.result()
    assert len(service.submitted) == 1


def test_a_pending_export_is_taken_up_and_not_asked_for_again(live):
    first = MadeUpService([PENDING])
    killed = live(first)
    killed.is_killed()
    with pytest.raises(Stopped):
        killed.result()
    service = MadeUpService([READY])
    finished = live(service, killed.states[-1]).result()
    assert finished.export_id == "export-1"
    assert service.log == ["poll export-1"]


def test_a_pending_export_keeps_the_window_that_it_was_asked_for_with(live):
    pending = ExportSpec(**{**SPEC.__dict__, "start": "2026-01-01", "end": "2026-01-20"})
    killed = live(MadeUpService([PENDING]))
    killed.is_killed()
    with pytest.raises(Stopped):
        killed.result(pending)
    wanted = ExportSpec(**{**SPEC.__dict__, "start": "2026-01-02", "end": "2026-01-21"})
    finished = live(MadeUpService([READY]), killed.states[-1]).result(wanted)
    assert (finished.pending.spec.start, finished.pending.spec.end) == ("2026-01-01", "2026-01-20")


def test_an_export_whose_post_was_not_answered_before_a_kill_is_found_on_the_server(live):
    service = MadeUpService([READY])
    killed = live(service)
    killed.result()
    before_the_answer = killed.states[0]
    assert before_the_answer[0]["id"] is None
    again = live(service, before_the_answer)
    assert again.result().export_id == "export-1"
    assert len(service.submitted) == 1


def test_an_export_that_never_reached_the_server_is_asked_for(live):
    entry = live(MadeUpService([READY]))
    entry.result()
    service = MadeUpService([READY])
    assert live(service, entry.states[0]).result().export_id == "export-1"
    assert len(service.submitted) == 1


def test_a_lost_answer_is_searched_for_before_anything_is_asked_again(live):
    service = MadeUpService([READY])

    def lose(_: int) -> None:
        raise LostAnswerError("The answer was lost.")

    service.fail_submit = lose
    assert live(service).result().export_id == "export-1"
    assert len(service.submitted) == 1


def test_a_refusal_is_told_at_once_and_leaves_nothing_pending(live):
    service = MadeUpService([READY])

    def refuse(_: int) -> None:
        raise TapError("Not for you.")

    service.fail_submit = refuse
    life = live(service)
    with pytest.raises(TapError, match="Not for you"):
        life.result()
    assert life.ledger.entries() == []
    assert len(service.submitted) == 1


def test_an_export_asked_for_with_other_settings_is_left_aside(live):
    killed = live(MadeUpService([READY]))
    killed.result()
    other = ExportSpec(**{**SPEC.__dict__, "body": {"a": 2}})
    service = MadeUpService([READY])
    live(service, killed.states[-1]).result(other)
    assert [pending.spec.body for pending in service.submitted] == [{"a": 2}]


def test_a_failed_export_is_made_again_by_the_server_where_it_can(live):
    service = MadeUpService([FAILED, READY])
    service.can_retry = True
    assert live(service).result().export_id == "export-1"
    assert "retry export-1" in service.log
    assert len(service.submitted) == 1


def test_a_failed_export_is_asked_for_again_where_the_server_cannot(live):
    service = MadeUpService([FAILED], [READY])
    assert live(service).result().export_id == "export-2"


def test_an_export_that_fails_to_the_end_is_told_with_its_id(live):
    service = MadeUpService([FAILED], [FAILED], [FAILED])
    life = live(service)
    with pytest.raises(ExportError, match=r"export-3.*'failed'.*Run again"):
        life.result()
    assert len(service.submitted) == service.attempts
    assert life.ledger.entries() == []


def test_a_cancelled_export_is_not_asked_for_again_behind_the_user(live):
    service = MadeUpService([Status.CANCELLED])
    with pytest.raises(ExportError, match=r"export-1.*cancelled"):
        live(service).result()
    assert len(service.submitted) == 1


def test_an_export_that_the_server_does_not_know_any_more_is_asked_for_again(live, caplog):
    service = MadeUpService([Status.GONE], [READY])
    with caplog.at_level("WARNING"):
        assert live(service).result().export_id == "export-2"
    assert "is 'gone' (export-1): requesting it again" in caplog.text


def test_an_export_that_takes_too_long_stays_pending(live):
    service = MadeUpService([PENDING])
    life = live(service)
    with pytest.raises(NotFinished, match=r"export-1.*export_timeout_minutes"):
        life.result()
    assert [entry["id"] for entry in life.ledger.entries()] == ["export-1"]


def test_looks_become_rarer_and_a_finished_export_is_noticed_soon(live):
    service = MadeUpService([PENDING] * 120 + [READY])
    life = live(service)
    life.result()
    waited = 0.0
    for pause in life.clock.waits:
        assert pause <= max(0.5, waited * GROWTH, 0.5) * 1.1 + 1e-9
        assert pause <= service.longest_pause * 1.1
        waited += pause
    assert life.clock.waits[0] < 1
    assert life.clock.waits[-1] >= 20


def test_an_unknown_status_is_an_error_that_keeps_the_export_pending(live):
    life = live(MadeUpService([READY]))
    pending = life.result().pending
    with pytest.raises(ExportError, match="unknown status 'SLEEPING'"):
        status_of("SLEEPING", {"READY": READY}, pending)
    assert status_of("Ready", {"READY": READY}, pending) is READY


def test_an_existing_extract_is_used_without_asking(live):
    service = MadeUpService()
    spec = ExportSpec(**{**SPEC.__dict__, "existing": "request/job"})
    life = live(service)
    assert life.result(spec).export_id == "request/job"
    assert service.submitted == []
    assert life.states == []


def test_what_may_look_alike_waits_until_a_lost_export_was_searched_for(live):
    """Two windows of one report look alike to an API that does not echo dates."""
    service = MadeUpService([READY], [READY])
    killed = live(service)
    killed.result()
    service.log.clear()
    again = live(service, killed.states[0])
    other = ExportSpec(**{**SPEC.__dict__, "slot": "2026-02"})
    again.result(other)
    assert again.result().export_id == "export-1"
    assert service.log.index("find") < service.log.index("submit export-2")
    assert service.log.count("find") == 1
    assert len(service.submitted) == 2


def test_one_lost_export_that_cannot_be_searched_for_stops_no_other(live):
    service = MadeUpService([READY], [READY])
    killed = live(service)
    killed.result()

    def refuse(*_: Any) -> None:
        raise TapError("That team is not yours any more.")

    service.find_lost = refuse
    again = live(service, killed.states[0])
    other = ExportSpec(**{**SPEC.__dict__, "slot": "2026-02"})
    assert again.result(other).export_id == "export-2"
    with pytest.raises(TapError, match="not yours"):
        again.result()
    assert [entry["id"] for entry in again.ledger.entries()] == [None, "export-2"]


def test_a_pending_window_that_begins_later_than_the_wanted_one_does_not_serve(live):
    pending = ExportSpec(**{**SPEC.__dict__, "start": "2026-01-10", "end": "2026-02-01"})
    killed = live(MadeUpService([PENDING]))
    killed.is_killed()
    with pytest.raises(Stopped):
        killed.result(pending)
    wanted = ExportSpec(**{**SPEC.__dict__, "start": "2026-01-01", "end": "2026-02-01"})
    service = MadeUpService([READY])
    finished = live(service, killed.states[-1]).result(wanted)
    assert finished.pending.spec.start == "2026-01-01"
    assert len(service.submitted) == 1


def test_what_expired_while_it_was_pending_is_asked_for_as_it_is_wanted_now(live):
    pending = ExportSpec(**{**SPEC.__dict__, "start": "2026-01-01", "end": "2026-01-20"})
    killed = live(MadeUpService([PENDING]))
    killed.is_killed()
    with pytest.raises(Stopped):
        killed.result(pending)
    wanted = ExportSpec(**{**SPEC.__dict__, "start": "2026-01-01", "end": "2026-02-01"})
    service = MadeUpService([Status.GONE], [READY])
    service.submitted.append(killed.ledger.pending(SPEC.key))
    finished = live(service, killed.states[-1]).result(wanted)
    assert finished.export_id == "export-2"
    assert finished.pending.spec.end == "2026-02-01"


def test_a_lost_export_that_no_search_finds_stays_noted_for_the_next_run(live):
    service = MadeUpService([READY])

    def lose(_: int) -> None:
        raise LostAnswerError("The answer was lost.")

    service.fail_submit = lose
    service.find_lost = lambda *_: None
    life = live(service)
    with pytest.raises(LostAnswerError):
        life.result()
    assert [entry["id"] for entry in life.ledger.entries()] == [None]
    assert len(service.submitted) == service.attempts


def test_an_export_that_nobody_selects_stays_pending_until_it_has_expired(live):
    killed = live(MadeUpService([READY]))
    killed.result()
    life = live(MadeUpService([READY], [READY]), killed.states[-1])
    life.result(ExportSpec(**{**SPEC.__dict__, "slot": "another"}))
    life.ledger.forget_expired(life.clock.now() + dt.timedelta(days=29), {})
    assert life.ledger.pending(SPEC.key)
    life.ledger.forget_expired(life.clock.now() + dt.timedelta(days=31), {})
    assert life.ledger.entries() == []


def test_a_failed_export_is_retried_by_the_server_first_and_then_asked_for_anew(live):
    service = MadeUpService([FAILED, FAILED], [READY])
    service.can_retry = True
    assert live(service).result().export_id == "export-2"
    assert service.log.count("retry export-1") == 1


def test_what_the_server_makes_already_and_the_state_does_not_know_is_taken_up(live):
    first = MadeUpService([PENDING])
    killed = live(first)
    killed.is_killed()
    with pytest.raises(Stopped):
        killed.result()
    service = MadeUpService([READY])
    service.find_existing = lambda *_: killed.ledger.pending(SPEC.key)
    life = live(service)
    assert life.result().export_id == "export-1"
    assert service.submitted == []
    assert life.states[0][0]["id"] == "export-1"


def test_a_server_that_hangs_keeps_nobody_who_wants_to_stop(live):
    service = MadeUpService([READY])
    begun, hang = threading.Event(), threading.Event()

    def poll(_: Any) -> Any:
        begun.set()
        hang.wait(60)

    service.poll = poll
    life = live(service)
    life.runner.start(SPEC)
    assert begun.wait(60)
    life.stop.set()
    with pytest.raises(Stopped):
        life.runner.result(SPEC)
    hang.set()
