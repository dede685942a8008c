"""A part of a key that may be one of several columns, and the order of a row's versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_autodesk_exports.tables import Column, Engine, Table, TableSchema, Type
from tap_autodesk_exports.tables.hashing import Hashing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PERSON = ("hashed_id", "id", "email")
COLUMNS = tuple(Column(name) for name in ("team", *PERSON, "product"))
SCHEMA = TableSchema(COLUMNS, key=("team", PERSON))
HEADER = "team,hashed_id,id,email,product\n"
KEY = b"a key that nobody knows"

Read = tuple[list[dict], list[list[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Read]:
    """`read(text, schema)`: the rows of a file, and by which columns they are identified."""

    def rows(text: str, schema: TableSchema = SCHEMA) -> Read:
        path = tmp_path / "users.csv"
        path.write_text(text)
        engine = Engine(tmp_path)
        with Table(path, schema, export_id="e", exported_at="2026-01-01", engine=engine) as table:
            used = table.identified_by()
            found = list(table.records([column.name for column in table.columns]))
        assert len({row["_row_id"] for row in found}) == len(found)
        return found, used

    return rows


def ids(found: Read) -> list[str]:
    return [row["_row_id"] for row in found[0]]


def test_the_first_column_with_a_value_counts_in_each_row(read):
    before = read(HEADER + "t,H1,A1,ann@x.com,p\nt,,A2,bob@x.com,p\nt,*****,*****,cy@x.com,p\n")
    # What comes after it may change.
    after = read(HEADER + "t,H1,A9,eve@x.com,q\nt,,A2,zoe@x.com,q\nt,,,CY@X.com ,q\n")
    assert ids(before) == ids(after)
    assert before[1] == [["hashed_id", "id", "email"]]


def test_people_who_share_what_does_not_count_are_told_apart(read):
    found, _ = read(HEADER + "t,H1,A1,team@x.com,p\nt,H2,A1,team@x.com,p\n")
    assert len(found) == 2


def test_rows_of_one_person_are_counted_whatever_their_order(read):
    lines = ["t,H1,A1,ann@x.com,p\n", "t,H1,A1,other@x.com,q\n", "t,H1,,,r\n", "t,H2,,,p\n"]
    one, other = (
        dict(zip(ids(found), found[0], strict=True))
        for found in (
            read(HEADER + "".join(lines)),
            read(HEADER + "".join(reversed(lines))),
        )
    )
    assert one == other
    assert len(one) == 4


def test_without_any_value_rows_are_counted(read):
    found, used = read(HEADER + "t,,,*****,p\nt,*****,,,p\nt,,,,q\n")
    assert len(found) == 3
    assert used == [["nothing"]]


def test_columns_that_a_file_lacks_are_passed_over(read):
    whole = read(HEADER + "t,,A1,ann@x.com,p\n")
    part = read("team,id,product\nt,A1,p\n")
    assert ids(whole) == ids(part)
    assert part[1] == [["id"]]
    none, used = read("team,product\nt,p\nt,q\n")
    assert len(none) == 2
    assert used == [["nothing"]]


def test_a_file_without_rows_identifies_nobody(read):
    assert read(HEADER) == ([], [])


def hashing(*names: str, key: bytes = KEY) -> TableSchema:
    hidden = Hashing(lambda name: name in names, key)
    return TableSchema(COLUMNS, key=("team", PERSON), hashing=hidden)


def test_only_the_ids_of_rows_that_are_identified_by_what_is_hashed_need_the_key(read):
    text = HEADER + "t,H1,A1,ann@x.com,p\nt,,,bob@x.com,p\n"
    plain, hashed = ids(read(text)), ids(read(text, hashing("email")))
    assert plain[0] == hashed[0]
    assert plain[1] != hashed[1]
    assert ids(read(text, hashing("email", key=b"another key")))[1] not in {plain[1], hashed[1]}
    every = ids(read(text, hashing("team")))
    assert not set(every) & set(plain)


VERSIONS = TableSchema(
    (
        Column("id"),
        Column("name"),
        *(Column(n, Type.TIMESTAMP) for n in ("at", "updated", "deleted", "created")),
    ),
    key=("id",),
    unique=True,
    newest=(("at",), ("updated", "deleted", "created")),
)


@pytest.mark.parametrize(
    ("header", "lines", "newest"),
    [
        ("id,name,at,updated", ["r,a,2026-01-02,2026-01-09", "r,b,2026-01-03,2026-01-01"], "b"),
        ("id,name,updated,deleted", ["r,gone,,2026-01-04", "r,back,2026-01-05,"], "back"),
        ("id,name,updated,deleted", ["r,there,2026-01-03,", "r,gone,,2026-01-04"], "gone"),
        ("id,name,created,deleted", ["r,a,2026-01-03,", "r,b,2026-01-03,2026-01-04"], "b"),
        ("id,name,at,deleted", ["r,a,2026-01-03,", "r,b,2026-01-03,2026-01-04"], "b"),
        ("id,name,deleted", ["r,a,", "r,b,2026-01-04"], "b"),
    ],
)  # fmt: skip
def test_the_newest_version_is_told_by_what_the_file_has(read, header, lines, newest):
    for order in (lines, lines[::-1]):
        found, _ = read("\n".join([header, *order, ""]), VERSIONS)
        assert [row["name"] for row in found] == [newest]
