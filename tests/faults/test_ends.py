"""How a run ends before its time: signals, a dead target, a full disk, a state that was lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from typing import Any

import pytest

LONG = 300
A_WHILE = 1800


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_saves_the_state_and_leaves_the_exports_to_the_next_run(bench, clean, number):
    bench.job_seconds = A_WHILE
    tap = bench.begin()
    tap.wait_until(lambda: len(bench.sandbox.exports) == clean.asked)
    tap.wait_until(lambda: tap.files() != [])
    tap.send(number)
    ended = bench.take(tap.end())
    assert ended.code == 128 + number, ended.stderr
    assert f"{signal.Signals(number).name}: ending the run" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert bench.temporary == []
    ids = {entry["id"] for entry in bench.state["exports"]}
    assert ids == {export.id for export in bench.sandbox.exports}
    bench.sandbox.clock.advance(A_WHILE)
    done = bench.run()
    assert done.code == 0, done.stderr
    bench.assert_whole(clean)


@pytest.mark.parametrize("moment", ["download", "rows"])
def test_a_signal_in_the_middle_of_a_table_cuts_no_line(bench, clean, moment):
    if moment == "download":
        struck = bench.fault("stall_body", endpoint="file", seconds=0.5)
        tap = bench.begin()
        tap.wait_until(lambda: struck.struck)
    else:
        seen: list[Any] = []
        tap = bench.begin(
            lambda m: m["type"] == "RECORD" and bool(seen.append(m) or len(seen) == 3)
        )
        tap.wait_until(tap.reached.is_set)
    tap.send(signal.SIGTERM)
    if moment == "rows":
        tap.read_on()
    ended = bench.take(tap.end())
    assert ended.code == 128 + signal.SIGTERM, ended.stderr
    assert not tap.is_cut
    assert bench.temporary == []
    done = bench.run()
    assert done.code == 0, done.stderr
    bench.assert_whole(clean)


def test_a_second_signal_ends_a_run_at_once(bench, clean):
    struck = bench.fault("stall_body", endpoint="file", seconds=LONG)
    tap = bench.begin()
    tap.wait_until(lambda: struck.struck)
    tap.send(signal.SIGTERM)
    tap.wait_until(lambda: "SIGTERM: ending the run" in tap.log())
    begin = time.monotonic()
    tap.send(signal.SIGTERM)
    ended = bench.take(tap.end())
    assert time.monotonic() - begin < 5
    assert ended.code == 128 + signal.SIGTERM
    assert bench.temporary == []
    bench.sandbox.faults.clear()
    assert bench.run().code == 0
    bench.assert_whole(clean)


def test_a_run_that_hangs_is_left_some_seconds_after_the_signal(bench, clean):
    struck = bench.fault("stall_body", endpoint="file", seconds=LONG)
    tap = bench.begin(grace=0.2)
    tap.wait_until(lambda: struck.struck)
    tap.send(signal.SIGTERM)
    ended = bench.take(tap.end())
    assert ended.code == 128 + signal.SIGTERM
    assert "did not end in" in ended.stderr
    assert bench.temporary == []
    bench.sandbox.faults.clear()
    assert bench.run().code == 0
    bench.assert_whole(clean)


def test_a_target_that_dies_is_told_in_a_sentence(bench, clean):
    seen: list[Any] = []
    tap = bench.begin(lambda message: message["type"] == "SCHEMA" or bool(seen.append(message)))
    tap.wait_until(tap.reached.is_set)
    tap.hang_up()
    ended = bench.take(tap.end())
    assert ended.code == 1
    assert "The target has ended and reads no more" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert bench.temporary == []
    done = bench.run()
    assert done.code == 0, done.stderr
    bench.assert_whole(clean)


def test_a_full_disk_is_told_and_costs_no_export(bench, clean):
    temporary = bench.folder / "tmp"
    temporary.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(temporary)]
    if not shutil.which("mount") or subprocess.run(small, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        met = bench.run()
        left = bench.temporary
    finally:
        subprocess.run(["umount", str(temporary)], check=True)
    assert met.code == 1
    assert "TMPDIR" in met.stderr
    assert "Traceback" not in met.stderr
    assert left == []
    done = bench.run()
    assert done.code == 0, done.stderr
    bench.assert_whole(clean)


def test_a_server_that_dies_in_mid_run_is_given_up_once_and_told_once(bench, clean):
    """Not stream by stream: each would wait as long for the same server."""
    bench.config = {"max_concurrent_exports": 1}
    bench.fault("refused", endpoint=bench.case.look, seconds=5)
    begin = time.monotonic()
    met = bench.run()
    # The pauses of one request that is tried to the end, at this pace, and little more.
    assert time.monotonic() - begin < 4
    assert met.code == 1
    (told,) = [line for line in met.stderr.splitlines() if "| FAILED " in line]
    assert ", ".join(bench.case.streams) in told
    assert "cannot be reached, also in 6 tries" in told
    assert "Traceback" not in met.stderr
    bench.sandbox._returning.join()
    done = bench.run()
    assert done.code == 0, done.stderr
    bench.assert_whole(clean)


def test_without_any_state_what_the_server_is_making_is_taken_up(bench, clean):
    """Promised: whatever can be told on the server's list, while it is being made.

    Insights does not echo dates, so an export with dates cannot be told and is asked for again.
    """
    bench.job_seconds = A_WHILE
    tap = bench.begin()
    tap.wait_until(lambda: len(bench.sandbox.exports) == clean.asked)
    tap.wait_until(lambda: "Requested the" in tap.log())
    tap.kill()
    bench.state = None
    tap = bench.begin()
    dated = bench.case.api == "insights"
    tap.wait_until(lambda: tap.log().count("using it. Was the last run") == clean.asked - dated)
    tap.wait_until(lambda: len(bench.sandbox.exports) == clean.asked + dated)
    bench.sandbox.clock.advance(A_WHILE)
    done = bench.take(tap.end())
    assert done.code == 0, done.stderr
    bench.assert_whole(clean, extra=int(dated))


def test_what_a_killed_run_left_on_disk_goes_and_what_is_in_use_stays(bench):
    struck = bench.fault("stall_body", endpoint="file", seconds=LONG)
    killed = bench.begin()
    killed.wait_until(lambda: struck.struck)
    killed.kill()
    (orphan,) = bench.temporary
    bench.sandbox.faults.clear()
    struck = bench.fault("stall_body", endpoint="file", seconds=LONG)
    alive = bench.begin()
    alive.wait_until(lambda: struck.struck)
    (in_use,) = bench.temporary
    assert in_use != orphan
    assert bench.run().code == 0
    assert bench.temporary == [in_use]
    alive.kill()
