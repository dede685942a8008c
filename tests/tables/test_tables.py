"""What a table promises, one test for each."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from support.rescued import opened
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables import Column, Engine, Table, TableSchema, Type, json_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = TableSchema(
    (
        Column("id"),
        Column("amount", Type.NUMBER),
        Column("done", Type.BOOLEAN),
        Column("day", Type.DATE),
        Column("clock", Type.TIME),
        Column("at", Type.TIMESTAMP),
    )
)
HEADER = "id,amount,done,day,clock,at\n"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Table]:
    """`table(text, schema)`: a table over a file with that text."""
    opened: list[Table] = []

    def open_table(content: str | bytes, schema: TableSchema = SCHEMA, **more: str) -> Table:
        path = tmp_path / str(len(opened)) / "rows.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        export = {"export_id": "e1", "exported_at": "2026-02-12 04:42:48"}
        opened.append(Table(path, schema, **{**export, "engine": Engine(tmp_path), **more}))  # type: ignore[arg-type]
        return opened[-1]

    yield open_table  # type: ignore[misc]
    for one in opened:
        one.close()


def everything(table: Table) -> set[str]:
    return {column.name for column in table.columns}


def records(table: Table, *names: str) -> list[dict]:
    return list(map(opened, table.records(names or everything(table))))


def column_of(table: Table, name: str) -> list:
    return [record[name] for record in map(opened, table.records({name}))]


def text_of(table: Table, *names: str) -> str:
    chunks = table.lines("rows", names or everything(table), time_extracted="2026-01-01T00:00:00Z")
    return b"".join(chunks).decode()


# --- schema --------------------------------------------------------------------------------------


def test_each_type_has_its_nullable_json_schema() -> None:
    assert {type_.name: json_schema(type_) for type_ in Type} == {
        "STRING": {"type": ["string", "null"]},
        "UUID": {"type": ["string", "null"], "maxLength": 36},
        "NUMBER": {"type": ["number", "null"]},
        "INTEGER": {"type": ["integer", "null"]},
        "BOOLEAN": {"type": ["boolean", "null"]},
        "DATE": {"type": ["string", "null"], "format": "date"},
        "TIME": {"type": ["string", "null"], "format": "time"},
        "TIME_TEXT": {
            "type": ["string", "null"],
            "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$",
        },
        "TIMESTAMP": {"type": ["string", "null"], "format": "date-time"},
    }


# --- lines ---------------------------------------------------------------------------------------


def test_a_line_is_a_record_message_with_version_only_where_one_is_given(table) -> None:
    rows = table(HEADER + "x,1,t,,,\n")
    begin = '{"type":"RECORD","stream":"rows","record":{"id":"x","amount":1}'
    time = '"time_extracted":"2026-01-01T00:00:00Z"}\n'
    assert text_of(rows, "id", "amount") == f"{begin},{time}"
    chunks = rows.lines("rows", {"id", "amount"}, version=5, time_extracted="2026-01-01T00:00:00Z")
    assert b"".join(chunks).decode() == f'{begin},"version":5,{time}'


def test_columns_come_in_the_layouts_order_then_constants_then_the_taps_own(table) -> None:
    schema = TableSchema((Column("b"), Column("a")), constants={"team": (Type.STRING, "T")})
    rows = table("a,b\n1,2\n", schema)
    names = ["b", "a", "team", "_export_id", "_exported_at", "_rescued_data", "_row_id"]
    assert [column.name for column in rows.columns] == names
    assert list(json.loads(text_of(rows))["record"]) == names


def test_every_row_tells_its_export_and_when_it_was_taken(table) -> None:
    (row,) = records(table(HEADER + "x,,,,,\n"), "_export_id", "_exported_at")
    assert row == {"_export_id": "e1", "_exported_at": "2026-02-12T04:42:48.000000Z"}


def test_numbers_keep_every_digit(table) -> None:
    tokens = ["0.1", "12345678901234567890.10", "1e-7", "-0", "0", "10.00", "1E+400", "9" * 400]
    rows = table("id,amount\n" + "".join(f"x,{token}\n" for token in tokens))
    lines = text_of(rows, "amount").splitlines()
    assert [line.split('"amount":')[1].split("}")[0] for line in lines] == tokens
    assert column_of(rows, "amount") == [Decimal(token) for token in tokens]
    assert [str(value) for value in column_of(rows, "amount")][:5] == [
        "0.1", "12345678901234567890.10", "1E-7", "-0", "0",
    ]  # fmt: skip


@pytest.mark.parametrize("token", ["007", "+5", ".5", "5.", "1,5", "NaN", "Infinity", "0x1", " 1"])
def test_what_is_no_number_is_rescued(table, token: str) -> None:
    rows = table(f'id,amount\n1,"{token}"\n')
    assert records(rows, "amount", "_rescued_data") == [
        {"amount": None, "_rescued_data": {"amount": token}}
    ]


def test_booleans_are_read_in_each_of_their_spellings(table) -> None:
    cells = ["t", "f", "true", "FALSE", "0", "1", "True", "yes", "2"]
    rows = table("id,done\n" + "".join(f",{cell}\n" for cell in cells))
    values = [True, False, True, False, False, True, True, None, None]
    assert column_of(rows, "done") == values
    rescued = [row["_rescued_data"] for row in records(rows, "done", "_rescued_data")]
    assert rescued[-2:] == [{"done": "yes"}, {"done": "2"}]


@pytest.mark.parametrize(
    ("cell", "canonical"),
    [
        ("2022-08-24 01:58:09.03", "2022-08-24T01:58:09.030000Z"),
        ("2024-08-22 06:49:15.022331", "2024-08-22T06:49:15.022331Z"),
        ("2023-01-05 07:40:12", "2023-01-05T07:40:12.000000Z"),
        ("2024-11-24 01:08:52 UTC", "2024-11-24T01:08:52.000000Z"),
        ("2025-12-17T08:14:33.157+00:00", "2025-12-17T08:14:33.157000Z"),
        ("2024-05-10T21:20:32Z", "2024-05-10T21:20:32.000000Z"),
        ("2024-01-01 00:30:00+01:30", "2023-12-31T23:00:00.000000Z"),
        ("2024-01-01 23:30:00-01", "2024-01-02T00:30:00.000000Z"),
        ("2022-03-02 00:00", "2022-03-02T00:00:00.000000Z"),
        ("2022-03-02", "2022-03-02T00:00:00.000000Z"),
        ("1960-02-29 00:00:00.000001", "1960-02-29T00:00:00.000001Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31 23:59:59.999999", "9999-12-31T23:59:59.999999Z"),
        ("2024-01-01 01:02:03.123456000", "2024-01-01T01:02:03.123456Z"),
        ("2024-01-01 01:02:03.1234567", None),
        ("2023-02-29 00:00:00", None),
        ("2024-1-1 00:00:00", None),
        ("2024-01-01 24:00:00", None),
        ("0001-01-01 00:30:00+01:00", None),
        ("9999-12-31 23:30:00-01:00", None),
        ("0000-01-01", None),
        ("2024-01-01 00:00:00 Europe/Berlin", None),
        ("infinity", None),
        ("today", None),
    ],
)
def test_a_timestamp_is_utc_to_the_microsecond_or_rescued(table, cell, canonical) -> None:
    # Alone, and beside another spelling, which takes another way through the code.
    for rows in (table(f"id,at\n1,{cell}\n"), table(f"id,at\n1,{cell}\n2,junk\n")):
        row = records(rows, "at", "_rescued_data")[0]
        assert row == {"at": canonical, "_rescued_data": None if canonical else {"at": cell}}


@pytest.mark.parametrize(
    ("cell", "canonical"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024-02-29 00:00", "2024-02-29"),
        ("2024-02-29T00:00:00.000Z", "2024-02-29"),
        ("2024-02-29 00:00:01", None),
        ("2023-02-29", None),
        ("2024-2-9", None),
        ("29.02.2024", None),
    ],
)
def test_a_date_is_a_real_day_or_rescued(table, cell, canonical) -> None:
    for rows in (table(f"id,day\n1,{cell}\n"), table(f"id,day\n1,{cell}\n2,junk\n")):
        row = records(rows, "day", "_rescued_data")[0]
        assert row == {"day": canonical, "_rescued_data": None if canonical else {"day": cell}}


@pytest.mark.parametrize(
    ("cell", "canonical"),
    [
        ("07:30", "07:30:00"),
        ("23:59:59.5", "23:59:59.5"),
        ("24:00:00", None),
        ("7:30", None),
        ("07:30:00Z", None),
        ("07:30:00.1234567", None),
    ],
)
def test_a_time_keeps_its_fraction_or_is_rescued(table, cell, canonical) -> None:
    row = records(table(f"id,clock\n1,{cell}\n"), "clock", "_rescued_data")[0]
    assert row == {"clock": canonical, "_rescued_data": None if canonical else {"clock": cell}}


def test_strings_come_verbatim_and_as_valid_json(table) -> None:
    cells = [
        "\ttab",
        " x ",
        "Ünï",
        "a\nb",
        "a\r\nb",
        'say "hi"',
        "\\N",
        "NULL",
        "\u2028",
        "\x01\x1f",
    ]
    cells += ["\x00", "😀", "\ufeff", "null", "'; DROP TABLE x; --"]
    body = "".join('"' + cell.replace('"', '""') + '"\n' for cell in cells)
    rows = table("id\n" + body, TableSchema((Column("id"),)))
    assert column_of(rows, "id") == cells
    lines = text_of(rows, "id").split("\n")[:-1]
    assert [json.loads(line)["record"]["id"] for line in lines] == cells


def test_null_and_empty_string_stay_apart(table) -> None:
    rows = table('id,amount\n,\n"",""\n')
    assert records(rows, "id", "amount", "_rescued_data") == [
        {"id": None, "amount": None, "_rescued_data": None},
        {"id": "", "amount": None, "_rescued_data": {"amount": ""}},
    ]


# --- columns -------------------------------------------------------------------------------------


def test_missing_columns_are_null_and_named(table) -> None:
    rows = table("amount,id\n1,x\n")
    assert rows.missing == ("done", "day", "clock", "at")
    assert records(rows, "id", "amount", "at") == [{"id": "x", "amount": 1, "at": None}]


@pytest.mark.parametrize("header", ["id,amount,do", "id,amount,d", "id,amount,D_O"])
def test_a_header_that_is_cut_in_a_name_is_no_empty_table(table, header) -> None:
    with pytest.raises(FileError, match=r"is cut off in its header, at '[dD].*new export"):
        table(header)


@pytest.mark.parametrize("header", ["id,amount,", 'id,"amount", '])
def test_a_header_that_is_cut_behind_a_separator_is_no_empty_table(table, header) -> None:
    with pytest.raises(FileError, match="is cut off in its header, behind a separator"):
        table(header)


@pytest.mark.parametrize(
    "text", ["id,amount,do\n", "id,amount,\n", "id,amount,new", "id,amount", "id,do\nx,y"]
)
def test_a_header_with_an_end_or_of_whole_names_is_not_cut(table, text) -> None:
    assert table(text).count() == text.count("x,y")


def test_unknown_and_repeated_and_nameless_columns_are_rescued(table) -> None:
    rows = table('id,new,id,,id,"a""b"\n1,2,3,4,5,6\n1,,,,"",\n')
    assert rows.unknown == ("new", "id#2", "column_4", "id#3", 'a"b')
    assert column_of(rows, "_rescued_data") == [
        {"new": "2", "id#2": "3", "column_4": "4", "id#3": "5", 'a"b': "6"},
        {"id#3": ""},
    ]


def test_two_spellings_of_a_name_are_one_column(table) -> None:
    schema = TableSchema((Column("team"),), rename=lambda name: name.strip().lower())
    assert column_of(table(" Team \nA\n", schema), "team") == ["A"]


def test_a_column_that_is_not_selected_leaves_no_trace(table) -> None:
    rows = table("id,amount,new\nx,secret,y\n")
    assert "secret" not in text_of(rows, "id", "_rescued_data", "_row_id")
    assert records(rows, "id", "_rescued_data") == [{"id": "x", "_rescued_data": {"new": "y"}}]


def test_constants_are_typed_like_cells(table) -> None:
    constants = {
        "team": (Type.STRING, 'it\'s "A"'),
        "start": (Type.TIMESTAMP, "2026-01-01"),
        "none": (Type.NUMBER, None),
        "year": (Type.NUMBER, "1"),
    }
    (row,) = records(
        table("id\nx\n", TableSchema((Column("id"),), constants=constants)), *constants
    )
    start = "2026-01-01T00:00:00.000000Z"
    assert row == {"team": 'it\'s "A"', "start": start, "none": None, "year": 1}


def test_a_constant_that_does_not_fit_its_type_is_refused(table) -> None:
    with pytest.raises(ValueError, match="The value of 'start' is not a date"):
        records(
            table("id\nx\n", TableSchema((Column("id"),), constants={"start": (Type.DATE, "soon")}))
        )


def test_a_file_with_none_of_the_columns_is_another_file(table) -> None:
    words = r"words in place of a table: 'Internal Server Error'.*has none of the expected columns"
    with pytest.raises(FileError, match=words):
        table("Internal Server Error\n")


# --- ids -----------------------------------------------------------------------------------------


def ids(table: Table) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in table.records({"id", "_row_id"}):
        found.setdefault(row["id"], set()).add(row["_row_id"])
    return found


def test_a_row_keeps_its_id_in_every_export_and_wherever_it_stands(table) -> None:
    lines = ["a,1\n", "b,2\n", "b,2\n", "c,\n", 'c,""\n', "b,3\n"]
    first = ids(table("id,amount\n" + "".join(lines)))
    again = ids(table("id,amount\n" + "".join(reversed(lines)), export_id="e2"))
    assert first == again
    assert [len(first[name]) for name in "abc"] == [1, 3, 2]
    wider = table(
        "new,amount,id\n"
        + "".join(f"x,{','.join(line.strip().split(',')[::-1])}\n" for line in lines)
    )
    assert ids(wider) == first


def test_an_id_does_not_depend_on_how_a_value_is_spelled(table) -> None:
    one = table("id,done,at,day\nx,t,2024-01-01 10:00:00,2024-01-01\n")
    other = table("id,done,at,day\nx,TRUE,2024-01-01T12:00:00.0+02:00,2024-01-01 00:00\n")
    assert ids(one) == ids(other)


def test_the_natural_key_makes_the_id(table) -> None:
    schema = TableSchema(
        (Column("id"), Column("n")), key=("team", "id"), constants={"team": (Type.STRING, "A")}
    )
    elsewhere = TableSchema(schema.columns, schema.key, {"team": (Type.STRING, "B")})
    assert ids(table("id,n\nx,1\n", schema)) == ids(table("id,n\nx,2\n", schema))
    assert ids(table("id,n\nx,1\n", schema)) != ids(table("id,n\nx,1\n", elsewhere))


def test_rows_with_the_same_key_are_numbered_by_their_content(table) -> None:
    schema = TableSchema((Column("id"), Column("n")), key=("id",))
    rows = [("x", str(n % 7)) for n in range(50)] + [("y", "1")]

    def by_content(order: list[tuple[str, str]]) -> list[tuple]:
        text = "id,n\n" + "".join(f"{id_},{n}\n" for id_, n in order)
        found = [tuple(row.values()) for row in records(table(text, schema), "id", "n", "_row_id")]
        assert len({row_id for *_, row_id in found}) == len(order)
        return sorted(found)

    assert by_content(rows) == by_content(rows[::-1])


def test_ids_are_unique_where_all_rows_are_equal(table) -> None:
    rows = table("id\n" + "same\n" * 10_000)
    assert len({row["_row_id"] for row in rows.records({"_row_id"})}) == 10_000


def test_the_id_is_the_md5_of_the_key_as_a_json_array(table) -> None:
    schema = TableSchema((Column("id"), Column("n", Type.NUMBER), Column("b", Type.BOOLEAN)))
    (row,) = records(table('id,n,b\n"a""b",1.0,\n', schema), "_row_id")
    assert row["_row_id"] == hashlib.md5(b'["a\\"b",1.0,null]').hexdigest()  # noqa: S324


# --- bookmarks -----------------------------------------------------------------------------------


def test_rows_from_the_bookmark_on_are_sent_and_so_are_rows_without_a_value(table) -> None:
    rows = table(
        "id,at,day,amount\n"
        "old,2024-01-01 00:00:00,2024-01-01,9\n"
        "same,2024-01-02T01:00:00+01:00,2024-01-02,10\n"
        "new,2024-01-03,2024-01-03,11\nnull,,,\njunk,x,x,x\n"
    )
    later = ["same", "new", "null", "junk"]
    for after in (
        ("at", "2024-01-02T00:00:00.000000Z"),
        ("day", "2024-01-02T00:00:00.000000Z"),
        ("day", "2024-01-02"),
        ("amount", "10"),
    ):
        assert [row["id"] for row in rows.records({"id"}, after=after)] == later
        chunks = rows.lines("rows", {"id"}, time_extracted="x", after=after)
        assert [json.loads(line)["record"]["id"] for line in b"".join(chunks).splitlines()] == later


def test_the_greatest_value_is_known(table) -> None:
    rows = table(
        "id,at,amount,day\na,2024-01-01 00:00:00+01,9,\nb,2023-12-31 23:30:00,10,\nc,junk,1e1,\n"
    )
    assert rows.maximum("at") == "2023-12-31T23:30:00.000000Z"
    assert rows.maximum("amount") == "10"
    assert rows.maximum("id") == "c"
    assert rows.maximum("day") is None
    assert rows.maximum("clock") is None


# --- whole files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_newlines_and_byte_order_marks_make_no_difference(table, newline: str, bom: bytes) -> None:
    rows = table(bom + newline.join(["id,amount", "x,1", 'y,"2"', ""]).encode())
    assert records(rows, "id", "amount") == [{"id": "x", "amount": 1}, {"id": "y", "amount": 2}]


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("rows", [1, 12_000])
def test_a_header_that_comes_again_is_named_and_is_no_row(
    table, caplog, bom: str, newline: str, rows: int
) -> None:
    part = newline.join([f"{bom}id,amount,done", *(f"x{n},{n},t" for n in range(rows)), ""])
    opened_table = table(part + part)
    assert opened_table.count() == 2 * rows
    assert set(column_of(opened_table, "_rescued_data")) == {None}
    (line,) = [each for each in caplog.messages if "is the header again" in each]
    assert line.startswith(f"Line {rows + 2} of the file 'rows.csv'")


def test_a_row_of_two_cells_may_be_like_the_header(table) -> None:
    schema = TableSchema((Column("name"), Column("value")))
    assert table("name,value\nname,value\n", schema).count() == 1


@pytest.mark.parametrize("text", ["id,amount", "id,amount\n", "\ufeffid,amount\r\n"])
def test_a_header_alone_is_a_table_without_rows(table, text: str) -> None:
    rows = table(text)
    assert (rows.count(), records(rows), text_of(rows), rows.maximum("id")) == (0, [], "", None)


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"id,amount\n1,2\n3\n", 3, "1 cells where the header has 2"),
        (b"id,amount\n1,2,3\n", 2, "3 cells where the header has 2"),
        (b"id,amount\n1,2,\n", 2, "3 cells where the header has 2"),
        (b'id,amount\n"a\nb",1\n3\n', 4, "1 cells"),
        (b'id,amount\n1,"2', 2, "never closed"),
        (b'id,amount\n1,2\n3,"4\n5,6\n', 3, "never closed"),
        (b'id,amount\n1,"2"x\n', 2, "after a closing quote"),
        (b'id,amount\n1,"2" \n', 2, "after a closing quote"),
        (b"id,amount\n1,\xff\n", 2, "not valid UTF-8"),
        (b"id,amount\n1,\xed\xa0\x80\n", 2, "not valid UTF-8"),
        (b"id,\xff\n1,2\n", 1, "not valid UTF-8"),
        (b"\n\n", 1, "does not begin with a header"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_line(
    table, content: bytes, line: int, problem: str
) -> None:
    with pytest.raises(
        FileError, match=rf"^Line {line} of the file 'rows\.csv' .*{problem}"
    ) as caught:
        table(content).count()
    assert caught.value.line == line


def test_an_empty_file_is_refused(table) -> None:
    with pytest.raises(FileError, match=r"'rows\.csv' is empty"):
        table(b"")


def test_what_duckdb_would_bend_is_read_as_it_stands(table) -> None:
    rows = table(b'id,amount\nx, "1"\na"b,2\n\ny,3\r\nz,4\n')
    assert records(rows, "id", "amount", "_rescued_data") == [
        {"id": "x", "amount": None, "_rescued_data": {"amount": ' "1"'}},
        {"id": 'a"b', "amount": 2, "_rescued_data": None},
        {"id": "y", "amount": 3, "_rescued_data": None},
        {"id": "z", "amount": 4, "_rescued_data": None},
    ]


def test_quoted_text_that_looks_like_rows_is_one_cell_across_any_buffer(table) -> None:
    texts = ["x\n" + "k,1\n" * (at * 37 % 5000) for at in range(3000)]
    rows = table("id,amount\n" + "".join(f'"{text}",{at}\n' for at, text in enumerate(texts)))
    found = {row["amount"]: row["id"] for row in rows.records({"id", "amount"})}
    assert found == dict(enumerate(texts))


def test_rows_of_many_kilobytes_get_the_memory_that_they_need(table) -> None:
    text = "some text " * 4000
    rows = table("id,amount\n" + "".join(f"{text},{at}\n" for at in range(3000)))
    assert sum(len(line) for line in rows.lines("s", everything(rows), time_extracted="x")) > 1.2e8


def test_many_equal_rows_get_the_memory_that_they_need(tmp_path: Path) -> None:
    columns = [f"column_{at}" for at in range(40)]
    row = ",".join(f"a value {at}" for at in range(40))
    text = ",".join(columns) + "\n" + f"{row}\n" * 30_000
    (tmp_path / "rows.csv").write_text(text)
    schema = TableSchema(tuple(map(Column, columns)))
    export = {"export_id": "e", "exported_at": "2026-01-01", "engine": Engine(tmp_path, 24 << 20)}
    with Table(tmp_path / "rows.csv", schema, **export) as rows:  # type: ignore[arg-type]
        assert len(set(column_of(rows, "_row_id"))) == 30_000


def test_a_cell_of_many_megabytes_comes_whole(table) -> None:
    large = "ab\n" * (10 << 20)
    rows = table(f'id,amount\nx,1\n"{large}",2\n')
    assert column_of(rows, "id") == ["x", large]


def test_a_name_is_a_name_and_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "a=b"
    folder.mkdir()
    (folder / "t1.csv").write_text("id\nother\n")
    for name in ("t[1].csv", "t*.csv", "it's.csv.gz"):
        (folder / name).write_text("id\nx\n")
        with Table(
            folder / name, SCHEMA, export_id="e", exported_at="2026-01-01", engine=Engine(folder)
        ) as rows:
            assert column_of(rows, "id") == ["x"]


def test_tables_of_one_engine_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    texts = {"one": "id,amount\na,1\na,2\n", "two": "id,amount\nb,1\nb,1\nb,3\n"}
    tables = []
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        schema = TableSchema(SCHEMA.columns, key=("id",))
        tables.append(
            Table(tmp_path / name, schema, export_id=name, exported_at="2026-01-01", engine=engine)
        )
    first, second = (table.records(everything(table)) for table in tables)
    together = [next(first), next(second), *first, *second]
    for table in tables:
        table.close()
    assert sorted((row["_export_id"], row["amount"]) for row in together) == [
        ("one", 1), ("one", 2), ("two", 1), ("two", 1), ("two", 3),
    ]  # fmt: skip
    assert len({row["_row_id"] for row in together}) == 5


@pytest.mark.parametrize("rows", [3000, 30_000])
def test_a_table_can_be_read_again_when_it_was_left_halfway(table, rows: int) -> None:
    halfway = table("id,amount\n" + "".join(f"{at},{at}\n" for at in range(rows)))
    next(halfway.lines("s", {"id"}, time_extracted="x"))
    assert len(column_of(halfway, "amount")) == rows


# --- resources -----------------------------------------------------------------------------------

MEASURED = """
import resource, sys
from pathlib import Path
from tap_autodesk_exports.tables import Column, Engine, TableSchema, Table
schema = TableSchema((Column("id"), Column("text")))
folder = Path(sys.argv[1])
with Table(folder / "rows.csv", schema, export_id="e", exported_at="2026-01-01",
           engine=Engine(folder, 128 << 20)) as table:
    size = sum(map(len, table.lines("s", {"id", "text", "_row_id"}, time_extracted="x")))
print(table.count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_file_and_the_folder_is_clean_afterwards(
    tmp_path: Path,
) -> None:
    peaks = []
    for rows in (50_000, 1_000_000):
        with (tmp_path / "rows.csv").open("w") as file:
            file.write("id,text\n")
            file.writelines(f"{at},some text that every row has {at}\n" for at in range(rows))
        command = [sys.executable, "-c", MEASURED, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        count, peak = map(int, done.stdout.split())
        assert count == rows
        peaks.append(peak)
        assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert peaks[1] < peaks[0] + 100


def test_a_refused_file_leaves_nothing_behind(table, tmp_path: Path) -> None:
    with pytest.raises(FileError), table("id,amount\n1\n") as refused:
        refused.count()
    assert [path.name for path in tmp_path.rglob("*") if path.name != "0"] == ["rows.csv"]
