"""The state: survives Meltano's merging, and never lets a bookmark pass over what is not loaded."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import pytest
from meltano.core.state_store import MeltanoState
from meltano.core.state_store.filesystem import LocalFilesystemStateStoreManager

from support import in_process
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from support.processes import TapRun

PENDING = {
    "spec": {
        "api": "insights",
        "owner": "",
        "name": "insights_usage",
        "slot": "2026-01",
        "body": {"outputFormat": "CSV", "reports": ["USAGE"]},
        "start": "2026-01-01T00:00:00.000000Z",
        "end": "2026-02-01T00:00:00.000000Z",
        "existing": None,
    },
    "asked_at": "2026-02-01T00:00:00.000000Z",
    "mark": [],
    "id": "an-export",
}


def state(*exports: dict[str, Any], **bookmarks: Any) -> dict[str, Any]:
    return {"singer_state": {"bookmarks": bookmarks, "exports": list(exports)}}


def saved(
    *, completed: dict[str, Any] | None = None, partial: dict[str, Any] | None = None
) -> MeltanoState:
    """Return what Meltano saves: a completed state after a run that ended well, else a partial."""
    return MeltanoState("job", partial_state=partial or {}, completed_state=completed or {})


@pytest.fixture
def meltano(tmp_path: Path):
    """Meltano's own store of states, with its own way to merge them."""
    return LocalFilesystemStateStoreManager(uri=tmp_path.as_uri(), lock_timeout_seconds=5)


def merged(meltano) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(meltano.get("job").json_merged())["singer_state"]
    return found


def test_an_export_that_is_no_longer_pending_does_not_come_back_through_merging(meltano):
    """A run that fails leaves a partial state, which Meltano merges into what it has."""
    other = {**PENDING, "id": "another"}
    meltano.update(saved(completed=state(users={"export_id": "a"})))
    meltano.update(saved(partial=state(PENDING, other, users={})))
    assert [entry["id"] for entry in merged(meltano)["exports"]] == ["an-export", "another"]
    meltano.update(saved(partial=state(other, usage={"value": 1})))
    assert merged(meltano)["exports"] == [other]
    meltano.update(saved(partial=state(usage={"value": 2})))
    assert merged(meltano)["exports"] == []
    assert merged(meltano)["bookmarks"] == {"users": {"export_id": "a"}, "usage": {"value": 2}}


def test_every_state_of_a_real_run_survives_merging_as_it_is(meltano, run_tap):
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        config = {
            **sandbox.settings(),
            "apis": ["insights", "tokenflex"],
            "start_date": "2026-01-01",
            "end_date": "2026-03-01",
        }
        run = run_tap(config)
    assert run.code == 0, run.stderr
    states = [message["value"] for message in run.of_type("STATE")]
    assert max(len(each["exports"]) for each in states) > 2
    for each in states:
        meltano.update(saved(partial={"singer_state": each}))
        found = merged(meltano)
        assert found["exports"] == each["exports"]
        for stream, bookmark in each["bookmarks"].items():
            assert found["bookmarks"][stream] == bookmark
    assert merged(meltano)["exports"] == []


def test_a_bookmark_does_not_pass_over_days_that_a_pending_export_lacks():
    """An export of an earlier run ends where that run stood; the rest must come next."""
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        run_tap = functools.partial(in_process.run, sandbox)
        stream = "insights_usage"
        config = {
            "apis": ["insights"],
            "insights_export_scope": "all_teams",
            "lookback_days": 0,
            "start_date": "2026-03-01",
        }
        tables: dict[Any, Any] = {}
        short = {**config, "end_date": "2026-03-10", "export_timeout_minutes": 0.0001}
        sandbox.faults.add("never_starts", times=None)
        early = run_tap(short, stream)
        assert early.code == 1
        (entry,) = early.state["exports"]
        sandbox.faults.clear()
        # The server makes it after all: by another, since the sandbox's own never starts.
        made = run_tap({**config, "end_date": "2026-03-10"}, stream)
        entry["id"] = sandbox.exports[-1].id
        late = {**config, "end_date": "2026-05-01"}
        run = run_tap(late, stream, state=early.state)
        assert run.code == 0, run.stderr
        tables |= run.table("insights_usage")
        assert len(tables) == len(made.table("insights_usage")) > 0
        assert value(run) == "2026-03-10T00:00:00.000000Z"
        asked = len(sandbox.exports)
        after = run_tap(late, stream, state=run.state)
        tables |= after.table("insights_usage")
        assert value(after) == "2026-05-01T00:00:00.000000Z"
        assert len(sandbox.exports) == asked + 1  # the rest of March; April was pending
        whole = run_tap(late, stream)
    assert tables.keys() == whole.table("insights_usage").keys()


def value(run: TapRun) -> str:
    return str(run.state["bookmarks"]["insights_usage"]["replication_key_value"])
