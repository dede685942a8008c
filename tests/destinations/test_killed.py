"""An export that is killed at any moment leaves the old rows or the new ones, and resumes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from destinations.conftest import place
from support.killed_export import killed
from tap_autodesk_exports.destinations import process

if TYPE_CHECKING:
    from destinations.conftest import Place, Source

ROOM = "tap_autodesk_exports.destinations"
PUBLISH = f"{ROOM}.state:KeptState.publish_pending"
SQL, FILES = f"{ROOM}.sql_store", f"{ROOM}.files"
MOVE = f"{ROOM}.storage:LocalFolder.move"
EVERYWHERE = {
    "before anything is noted": (PUBLISH, "before"),
    "noted and not requested": (PUBLISH, "after"),
    "requested, its ID not noted": (PUBLISH, "before", 2),
    "its ID is noted": (PUBLISH, "after", 2),
}
IN_A_DATABASE = {
    **EVERYWHERE,
    "rows are staged": (f"{SQL}:SqlStore.stage", "after"),
    "old rows are deleted": (f"{SQL}:SqlStore._insert", "before"),
    "new rows are inserted": (f"{SQL}:SqlStore._insert", "after"),
    "the state is written, nothing committed": (f"{SQL}:put_state", "after"),
    "all is committed": (f"{SQL}:SqlStore.commit", "after"),
}
IN_A_FOLDER = {
    **EVERYWHERE,
    "the new file is written": (f"{FILES}:FileStore._write", "after"),
    "what is coming is noted": (MOVE, "after", 3),
    "the new file is in place": (MOVE, "after", 4),
    "the new state is in place": (MOVE, "after", 5),
    "all is done": (f"{FILES}:FileStore.commit", "after"),
}


def rows(*names: str) -> list[dict[str, Any]]:
    return [{"id": f"00000000-0000-4000-8000-{at:012}", "name": n} for at, n in enumerate(names)]


def names(where: Place) -> list[str]:
    return sorted(row["name"] for row in where.rows())


@pytest.mark.parametrize("moment", IN_A_DATABASE)
def test_into_postgres(moment, tmp_path, postgres, source: Source):
    resumes(place("postgres", tmp_path, postgres), source, *IN_A_DATABASE[moment])


@pytest.mark.parametrize("moment", IN_A_FOLDER)
def test_into_a_folder_of_parquet_files(moment, tmp_path, postgres, source: Source):
    resumes(place("folder", tmp_path, postgres), source, *IN_A_FOLDER[moment])


def resumes(where: Place, source: Source, function: str, when: str, times: int = 1) -> None:
    source.write(rows("old", "older", "gone"))
    assert where.load(source).code == 0
    old, requested = names(where), len(source.sandbox.exports)
    source.write(rows("new", "older"))
    config = {**source.sandbox.settings(), **source.config()}
    order = process.Order(config, where.to, ["cost_main_contract_items"], **where.wishes)
    assert killed(order, function, when, times) == -9, "The moment did not come."
    is_committed = names(where) == ["new", "older"]
    assert is_committed or names(where) == old
    run = where.load(source)
    assert run.code == 0, run.log
    assert names(where) == ["new", "older"]
    # What was committed is not requested again, except as what is new since then.
    assert len(source.sandbox.exports) - requested == (2 if is_committed else 1)
    # And nothing of it is left over.
    again = where.load(source, data_connector_max_age_hours=20)
    assert again.code == 0
    assert names(where) == ["new", "older"]


@pytest.mark.parametrize("kind", ["postgres", "folder", "csv"])
def test_a_reader_sees_the_old_rows_or_the_new_ones(kind, tmp_path, postgres, source: Source):
    count = 3000
    where = place(kind, tmp_path, postgres)
    source.write(rows(*["old"] * count))
    assert where.load(source).code == 0
    seen: set[tuple[str, ...]] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            found = [row["name"] for row in where.rows()]
            seen.add((*sorted(set(found)), str(len(found))))

    reader = threading.Thread(target=read)
    reader.start()
    source.write(rows(*["new"] * (count - 1000)))
    run = where.load(source)
    over.set()
    reader.join()
    assert run.code == 0, run.log
    assert seen <= {("old", "3000"), ("new", "2000")}
    assert names(where) == ["new"] * (count - 1000)


def test_two_exports_at_once_do_not_mix(tmp_path, postgres, source: Source):
    source.write(rows("a"))
    config = {**source.sandbox.settings(), **source.config()}
    for kind in ("postgres", "folder", "csv"):
        where = place(kind, tmp_path, postgres)
        order = process.Order(config, where.to, ["cost_main_contract_items"], **where.wishes)
        *_, first = order.read()
        first.open()
        try:
            with pytest.raises(process.DestinationError, match="Another export is writing into"):
                where.load(source)
        finally:
            first.close()
        assert where.load(source).code == 0
