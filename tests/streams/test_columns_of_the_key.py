"""Columns of a key that files cease or begin to have: no row twice, and no other table waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from destinations.conftest import Source
from support import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYED, OTHER = "cost_main_contract_items", "cost_budgets"
ID = "00000000-0000-4000-8000-00000000000"
DAY = 24 * 3600


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    found = Source(tmp_path / "extract")
    with found.sandbox:
        yield found


def run(source: Source, name: str, unit: str, state: Any, rows: int = 2) -> Any:
    """Load two tables of one extract, with another name of the column `id` in one of them."""
    lines = [{name: f"{ID}{at}", "unit": unit, "qty": str(at)} for at in range(rows)]
    source.write([{key: text for key, text in line.items() if key} for line in lines], KEYED)
    if not rows:
        head = ",".join(filter(None, (name, "unit", "qty")))
        (source.folder / f"{KEYED}.csv").write_text(f"{head}\n")
    source.write([{"id": f"{ID}1", "unit": unit}], OTHER)
    done = in_process.run(source.sandbox, source.config(), KEYED, OTHER, state=state)
    source.sandbox.clock.advance(DAY)
    return done


@pytest.mark.parametrize(("before", "after"), [("id", "ID"), ("id", ""), ("", "id"), ("ID", "id")])
def test_no_row_is_there_twice_and_no_other_table_waits(source, before, after):
    state: Any = None
    for at, (name, code) in enumerate(
        [(before, 0), (after, 1), (after, 1), (before, 0), (before, 0)]
    ):
        done = run(source, name, f"u{at}", state)
        assert done.code == code, done.stderr
        assert [row["unit"] for row in done.records(OTHER)] == [f"u{at}"]
        assert len(done.records(KEYED)) == (0 if code else 2)
        assert ("would be there twice" in done.stderr) == bool(code)
        state = done.state
    assert len(source.sandbox.exports) == 5


@pytest.mark.parametrize("name", ["id", "ID", ""])
def test_files_without_rows_say_nothing_of_the_key(source, name):
    empty = run(source, "id", "u0", None, rows=0)
    assert empty.code == 0, empty.stderr
    first = run(source, name, "u1", empty.state)
    assert first.code == 0, first.stderr
    assert len(first.records(KEYED)) == 2
    empty = run(source, "id", "u2", first.state, rows=0)
    assert empty.code == 0, empty.stderr
    again = run(source, name, "u3", empty.state)
    assert again.code == 0, again.stderr
    assert first.table(KEYED).keys() == again.table(KEYED).keys()


def test_a_table_that_fails_in_every_run_keeps_no_other_from_newer_rows(source, tmp_path):
    """Such as one with a number that a Parquet file has no room for, or that a database refuses."""
    (tmp_path / "batches").mkdir()
    root = (tmp_path / "batches").as_uri()
    batches = {"batch_config": {"encoding": {"format": "parquet"}, "storage": {"root": root}}}
    state: Any = None
    digits = "0.12345678901"
    for at, (qty, code) in enumerate([("1", 0), (digits, 1), (digits, 1), (digits, 1), ("1", 0)]):
        source.write([{"id": f"{ID}1", "qty": qty}], KEYED)
        source.write([{"id": f"{ID}1", "unit": f"u{at}"}], OTHER)
        config = source.config(**batches)
        done = in_process.run(source.sandbox, config, KEYED, OTHER, state=state)
        assert done.code == code, done.stderr
        sent = {message["stream"] for message in done.of_type("BATCH")}
        assert sent == ({OTHER} if code else {KEYED, OTHER})
        state = done.state
        if code:  # within a day it is the same extract that is tried again
            again = in_process.run(source.sandbox, config, KEYED, OTHER, state=state)
            assert (again.code, again.of_type("BATCH")) == (1, [])
            state = again.state
        assert len(source.sandbox.exports) == at + 1
        source.sandbox.clock.advance(DAY)
