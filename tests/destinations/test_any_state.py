"""Any state that a destination keeps is survived: what cannot be read is named and ignored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from destinations.conftest import STREAM, Source, place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ID = "cd3ff1c6-0d0b-4e4c-8a9e-5a4d1ffb3b5f"
ODD: dict[str, Any] = {
    "null": None, "a number": 7, "text": "something", "a list": [1, "x"], "an object": {"a": 1},
    "true": True, "a list of lists": [[]],
}  # fmt: skip
PLACES = (
    "bookmarks",
    f"bookmarks.{STREAM}",
    f"bookmarks.{STREAM}.partitions",
    f"bookmarks.{STREAM}.partitions.0",
    f"bookmarks.{STREAM}.partitions.0.context",
    f"bookmarks.{STREAM}.partitions.0.identity",
    "exports",
    "exports.0",
    "names",
    f"names.{STREAM}",
    f"names.{STREAM}.id",
)
TRIALS = [(at, list(ODD)[(n * 3 + 1) % 7]) for n, at in enumerate(PLACES)]


def put(state: Any, at: str, value: Any) -> None:
    *parents, last = at.split(".")
    for name in parents:
        state = state[int(name)] if isinstance(state, list) else state.setdefault(name, {})
    if isinstance(state, list):
        state.append(value)
    else:
        state[last] = value


def damage(kind: str, folder: Path, change: Callable[[Any], None]) -> None:
    """Change what a destination keeps: of a folder, the state in its wrapping."""
    if kind == "folder":
        path = folder / "all" / "_autodesk_exports_state.json"
        kept = json.loads(path.read_text("utf-8"))
        change(kept)
        path.write_text(json.dumps(kept), "utf-8")
        return
    with duckdb.connect(str(folder / "x.duckdb")) as database:
        (found,) = database.execute("SELECT state FROM _autodesk_exports_state").fetchall()
        kept = {"state": json.loads(found[0])}
        change(kept)
        text = json.dumps(kept["state"])
        database.execute("UPDATE _autodesk_exports_state SET state = ?", [text])


@pytest.mark.parametrize(
    ("at", "name", "kind"),
    [(at, name, ("duckdb", "folder")[n % 2]) for n, (at, name) in enumerate(TRIALS)],
)
def test_any_value_in_any_place_is_survived(at, name, kind, tmp_path, source: Source):
    source.write([{"id": ID, "name": "a"}])
    where = place(kind, tmp_path, None)
    assert where.load(source).code == 0
    source.write([{"id": ID, "name": "b"}])
    damage(kind, tmp_path, lambda kept: put(kept["state"], at, ODD[name]))
    run = where.load(source)
    assert "Traceback" not in run.log
    assert run.code == 0, run.log
    assert [row["name"] for row in where.rows()] == ["b"]


@pytest.mark.parametrize(
    ("at", "name"), [("bookmarks", "a list"), (f"bookmarks.{STREAM}", "text"), ("exports", "true")]
)
def test_what_cannot_be_read_is_named(at, name, tmp_path, source: Source):
    source.write([{"id": ID}])
    where = place("duckdb", tmp_path, None)
    assert where.load(source).code == 0
    damage("duckdb", tmp_path, lambda kept: put(kept["state"], at, ODD[name]))
    assert f"Parts of the state cannot be read and are ignored: {at}" in where.load(source).log


@pytest.mark.parametrize(
    ("at", "name"), [("files", "null"), ("files", "a list"), (f"files.{STREAM}", "an object")]
)
def test_a_file_whose_facts_are_lost_is_not_overwritten(at, name, tmp_path, source: Source):
    source.write([{"id": ID, "name": "a"}])
    where = place("folder", tmp_path, None)
    assert where.load(source).code == 0
    source.write([{"id": ID, "name": "b"}])
    damage("folder", tmp_path, lambda kept: put(kept, at, ODD[name]))
    run = where.load(source)
    assert run.code == 1
    assert "was not written by the last export" in run.log
    assert [row["name"] for row in where.rows()] == ["a"]


@pytest.mark.parametrize(
    ("at", "name"),
    [("stream", "a list"), ("files", "text"), (f"files.{STREAM}", "null"), ("state", "a number")],
)
def test_a_state_that_was_about_to_be_written_is_used_whole_or_not(
    at, name, tmp_path, source: Source
):
    source.write([{"id": ID, "name": "a"}])
    where = place("folder", tmp_path, None)
    assert where.load(source).code == 0
    kept = tmp_path / "all" / "_autodesk_exports_state.json"
    coming = {**json.loads(kept.read_text("utf-8")), "stream": STREAM}
    put(coming, at, ODD[name])
    kept.with_name(f"{kept.name}.next").write_text(json.dumps(coming), "utf-8")
    source.write([{"id": ID, "name": "b"}])
    assert where.load(source).code == 0
    assert [row["name"] for row in where.rows()] == ["b"]
