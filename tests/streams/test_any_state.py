"""Any state is survived: what cannot be read is named and ignored, the rest is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.loading.state import usable
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.streams.state import read_state

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = ("insights_usage", "admin_projects", "tokenflex_usage")
CONFIG = {"start_date": "2026-10-01"}
ODD = (None, 7, -1.5, True, "text", "", [], ["x"], [None], {}, {"a": 1}, {"a": None}, [[]], [{}])


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def clean(server):
    run = in_process.run(server, CONFIG, *STREAMS)
    assert run.code == 0, run.stderr
    return run


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where in a state something is."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items if isinstance(value, (dict, list)) else ():
        yield from paths(item, (*path, key))


def replaced(state: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(state) if isinstance(state, dict) else list(state)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


def test_every_place_of_a_state_may_hold_anything(clean):
    """Read again and again with something else in one place: no error, and the rest as it was."""
    state = {**clean.state, "exports": [{"spec": {"api": "insights"}, "id": "x"}]}
    tried = 0
    for path in paths(state):
        for odd in ODD:
            changed = replaced(state, path, odd)
            if not isinstance(changed, dict):
                continue  # a state that is no object is refused where it is read
            found = usable(changed)
            tried += 1
            assert isinstance(found["exports"], list)
            for name, bookmark in found["bookmarks"].items():
                if path[:2] != ("bookmarks", name) and path[:1] != ("bookmarks",):
                    assert bookmark == state["bookmarks"][name]
    assert tried > 500


@pytest.mark.parametrize(
    "state",
    [
        {"bookmarks": None, "exports": None},
        {"bookmarks": [], "exports": {}},
        {"bookmarks": {"insights_usage": None, "admin_projects": 7, "tokenflex_usage": []}},
        {"bookmarks": {"insights_usage": {"replication_key_value": 7, "replication_key": []}}},
        {
            "bookmarks": {
                "insights_usage": {
                    "partitions": [None, {"context": None}, {"context": {"team_id": "4000010"}}, 7]
                }
            }
        },
        {"currently_syncing": "orders", "bookmarks": {"orders": {"id": 7}}},
        {"value": {"bookmarks": {}}, "exports": [None, 7, "x", [], {}]},
        {"exports": [{"spec": None, "asked_at": 7}, {"spec": {"api": 7}}, {"hello": "world"}]},
        {
            "bookmarks": {
                "tokenflex_usage": {
                    "partitions": [
                        {
                            "context": {"contract_number": "110000900002"},
                            "replication_key": "usageDate",
                            "replication_key_value": "zzzz",
                            "start": "no date",
                            "processed": [7],
                            "read_from": {},
                        }
                    ]
                }
            }
        },
    ],
    ids=lambda state: str(state)[:60],
)
def test_a_run_with_an_odd_state_loads_what_a_first_run_loads(server, clean, state):
    run = in_process.run(server, CONFIG, *STREAMS, state=state)
    assert run.code == 0, run.stderr
    for name in STREAMS:
        assert run.table(name).keys() == clean.table(name).keys()
    again = in_process.run(server, CONFIG, *STREAMS, state=run.state)
    assert again.code == 0, again.stderr


def test_what_is_ignored_is_named(caplog):
    usable({"bookmarks": {"a": 7, "b": {"partitions": [None], "start": 1}}, "exports": 7})
    (record,) = caplog.records
    assert "bookmarks.a, b.start, b.partitions.0, exports" in record.getMessage()


def test_unknown_keys_of_a_newer_release_stay():
    state = {
        "bookmarks": {"a": {"new": [1], "partitions": [{"context": {}, "other": 2}]}},
        "exports": [{"id": "x", "new": 1}],
        "further": 1,
    }
    assert usable(state) == state


@pytest.mark.parametrize(
    "text", ["null", "true", "7", '"text"', "[]", "[{}]", "\ufeff{}", "9" * 5000]
)
def test_json_that_is_no_object_is_an_empty_state(text):
    assert read_state(text, "state") == {}


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "[" * 100_000])
def test_what_is_no_json_is_a_sentence(text):
    with pytest.raises(ConfigurationError, match=r"The state .*(JSON|empty)"):
        read_state(text, "state")
