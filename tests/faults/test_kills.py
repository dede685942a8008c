"""A tap that is killed at any moment of an export's life is taken up by the next run.

Every cell kills a real process, with SIGKILL, at a moment that it waits for and never sleeps for.
The next run begins with the last STATE that a target would have had.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.cases import Bench, Clean
    from support.tap_process import Message

LONG = 300
"""Seconds of a stall that nobody waits for the end of."""


def reach(bench: Bench, until: Callable[[Message], bool] | None = None, **fault: Any):
    """Begin a run, and return it with the moment at which its fault strikes."""
    struck = bench.fault(**fault) if fault else None
    tap = bench.begin(until)
    if struck:
        tap.wait_until(lambda: struck.struck)
    return tap


def pending(message: Message) -> list[str | None]:
    """Return the IDs of the exports that a STATE tells."""
    exports = message["value"].get("exports", []) if message["type"] == "STATE" else []
    return [entry["id"] for entry in exports]


def before_anything_is_asked_for(bench: Bench, _: Clean):
    return reach(bench, effect="stall", endpoint=bench.case.list, method="GET", seconds=LONG)


def when_the_post_is_announced_in_the_state(bench: Bench, _: Clean):
    return reach(bench, lambda message: None in pending(message))


def when_the_post_was_lost_on_its_way(bench: Bench, _: Clean):
    return reach(bench, effect="reset", endpoint="submit", times=None)


def when_the_post_was_executed_and_not_answered(bench: Bench, _: Clean):
    fault = {"effect": "stall_body", "endpoint": "submit", "after_bytes": 0, "seconds": LONG}
    tap = reach(bench, **fault)
    tap.wait_until(lambda: bench.sandbox.exports)
    return tap


def when_its_id_is_in_the_state(bench: Bench, _: Clean):
    return reach(bench, lambda message: any(pending(message)))


def while_it_is_looked_at(bench: Bench, _: Clean):
    return reach(bench, effect="stall", endpoint=bench.case.look, method="GET", seconds=LONG)


def while_its_link_is_fetched(bench: Bench, _: Clean):
    endpoint, occasion = bench.case.link
    fault = {"effect": "stall_body", "endpoint": endpoint, "occasions": [occasion]}
    return reach(bench, seconds=LONG, **fault)


def in_the_middle_of_a_download(bench: Bench, _: Clean):
    tap = reach(bench, effect="stall_body", endpoint="file", seconds=LONG)
    tap.wait_until(lambda: any(name.endswith(".part") for name in tap.files()))
    return tap


def between_two_tables(bench: Bench, _: Clean):
    def between(message: Message) -> bool:
        bookmarks = message["value"]["bookmarks"] if message["type"] == "STATE" else {}
        # Whichever comes first: the one whose export is ready before the other.
        return sum(is_moved(bookmarks.get(name)) for name in bench.case.streams) == 1

    return reach(bench, between)


def is_moved(bookmark: Any) -> bool:
    text = json.dumps(bookmark)
    return "replication_key_value" in text or "export_id" in text


def while_the_second_table_is_fetched(bench: Bench, _: Clean):
    return reach(bench, effect="stall_body", endpoint="file", occasions=[2], seconds=LONG)


def in_the_middle_of_emitting(bench: Bench, _: Clean):
    return reach(bench, after_records(3))


def after_the_last_row_before_the_state(bench: Bench, clean: Clean):
    return reach(bench, after_records(len(clean.tables[bench.case.streams[0]])))


def after_records(number: int) -> Callable[[Message], bool]:
    seen = 0

    def reached(message: Message) -> bool:
        nonlocal seen
        seen += message["type"] == "RECORD"
        return seen == number

    return reached


MOMENTS = (
    before_anything_is_asked_for,
    when_the_post_is_announced_in_the_state,
    when_the_post_was_lost_on_its_way,
    when_the_post_was_executed_and_not_answered,
    when_its_id_is_in_the_state,
    while_it_is_looked_at,
    while_its_link_is_fetched,
    in_the_middle_of_a_download,
    between_two_tables,
    while_the_second_table_is_fetched,
    in_the_middle_of_emitting,
    after_the_last_row_before_the_state,
)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_killed_run_is_taken_up_by_the_next(bench, clean, moment):
    killed = bench.take(moment(bench, clean).kill())
    assert killed.code == -9, killed.stderr
    bench.sandbox.faults.clear()
    done = bench.run()
    assert done.code == 0, done.stderr
    bench.assert_whole(clean)
