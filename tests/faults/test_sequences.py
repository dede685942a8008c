"""Faults in any order, one upon the other: runs that fail, are killed, or lose their state.

Each sequence is made of a number, so that one that fails can be run again. `SEQUENCES=500` makes it
long; the suite runs a short form.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.cases import Bench, Clean

SEQUENCES = int(os.environ.get("SEQUENCES", "6"))
"""Of each API."""
WAITS = {"export_timeout_minutes": 0.06}
AN_HOUR = 3600
MOST_A_RUN = 3
"""How often a run requests an export at most, which fails on the server again and again."""
QUICK = {"pace": 0.02, "timeout": 1.5}

OF_FILES = (
    *("truncate", "wrong_length", "no_length", "no_length_cut", "gzip", "gzip_cut", "zip"),
    *("expired_link", "redirect", "range_start", "range_total"),
)
AS_A_WHOLE = {"wrong_length", "no_length_cut"}
OF_ANSWERS = ("reset", "lost", "refused", "stall", "drip", "status", "html", "xml", "json")
OF_EXPORTS = (
    *("ends_failed", "ends_cancelled", "ends_expired", "unreadable", "dead_links"),
    *("files_gone", "no_files", "null_files", "words"),
)
STATUSES = (400, 403, 404, 410, 429, 500, 502, 503, 504)


def any_fault(chance: random.Random, bench: Bench, clean: Clean) -> tuple[str, dict[str, Any]]:
    """Return the effect of some fault, and where and how often it strikes."""
    effect = chance.choice(OF_FILES + OF_ANSWERS + OF_EXPORTS)
    case = bench.case
    if effect in OF_FILES:
        fields: dict[str, Any] = {"endpoint": "file"}
        # Behind the end of a row nobody could tell it from the end of the file.
        fields["after_bytes"] = chance.randrange(1, clean.header + 8)
    elif effect in OF_EXPORTS:
        fields = {"endpoint": "submit"}
        if effect in {"unreadable", "dead_links"}:
            fields["status"] = chance.choice((403, 404, 410, 500))
    else:
        fields = {"endpoint": chance.choice((case.look, case.link[0], case.list, "submit", "file"))}
        fields |= {"stall": {"seconds": 3}, "drip": {"seconds": 0.001, "size": 500}}.get(effect, {})
        if effect == "status":
            fields["status"] = chance.choice(STATUSES)
    if effect in AS_A_WHOLE:
        return effect, fields  # the same part twice would pass for the whole
    if chance.random() < 0.3:
        return effect, fields | {"occasions": sorted(chance.sample(range(1, 8), 2))}
    return effect, fields | {"times": chance.randint(1, 3)}


def one_run(chance: random.Random, bench: Bench) -> int:
    """Run the tap, which may be ended at any moment and may lose its state; return its code."""
    before = bench.state
    if chance.random() < 0.7:
        run = bench.run(**QUICK)
    else:
        left = iter(range(chance.randint(1, 40)))
        tap = bench.begin(lambda _: next(left, None) is None, **QUICK)
        tap.reached.wait(chance.uniform(0, 2))
        tap.send(chance.choice((signal.SIGTERM, signal.SIGINT, signal.SIGKILL)))
        run = bench.take(tap.end())
    assert "Traceback" not in run.stderr
    if chance.random() < 0.2:
        bench.state = before
    return run.code


@pytest.mark.parametrize("number", range(SEQUENCES))
def test_whatever_happens_the_rows_are_those_of_the_source(bench, clean, number):
    chance = random.Random(f"{bench.case.api} {number}")  # noqa: S311
    bench.config = WAITS
    bench.job_seconds = chance.choice((0, 0.3, 2))
    story: list[Any] = []
    for _ in range(chance.randint(1, 3)):
        for _ in range(chance.randint(1, 3)):
            effect, fields = any_fault(chance, bench, clean)
            story.append((effect, fields))
            bench.fault(effect, **fields)
        asked = requested(bench)
        story.append(one_run(chance, bench))
        assert story[-1] != 0 or bench.tables == clean.tables, story
        assert max((requested(bench) - asked).values(), default=0) <= MOST_A_RUN, story
        bench.sandbox.faults.clear()
        bench.sandbox.clock.advance(chance.choice((0, AN_HOUR)))
    ends = [bench.run(pace=0.02) for _ in range(2)]
    assert ends[-1].code == 0, (story, ends[-1].stderr)
    assert bench.tables == clean.tables, story
    assert bench.temporary == [], story
    assert bench.state is not None
    assert bench.state["exports"] == [], story


def requested(bench: Bench) -> Counter[str]:
    """Return how often each export was requested so far."""
    return Counter(json.dumps([export.owner, export.body]) for export in bench.sandbox.exports)
