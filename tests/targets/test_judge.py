"""The comparison of `make targets`: every change is found, and named for what it is."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["number", "null"]}
BOOLEAN = {"type": ["boolean", "null"]}
MOMENT = {"type": ["string", "null"], "format": "date-time"}
DATE = {"type": ["string", "null"], "format": "date"}
OBJECT = {"type": ["object", "null"]}
LONG = Decimal("12345678901234567890.1234567891")
AT = "2026-02-12T04:42:48.123456Z"
MOMENT_OF_AT = dt.datetime.fromisoformat(AT)
WITHOUT_ZONE = MOMENT_OF_AT.replace(tzinfo=None)
MIDNIGHT = WITHOUT_ZONE.replace(1, 1, 1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("schema", "expected", "stored", "verdict"),
    [
        (TEXT, None, None, ("nulls", "exact")),
        (TEXT, None, "", ("nulls", 'null → `""`')),
        (OBJECT, None, "null", ("nulls", 'null → `"null"`')),
        (TEXT, "", "", ("nulls", "exact")),
        (TEXT, "", None, ("nulls", '`""` → null')),
        (TEXT, "a\nb", "a\nb", ("text", "exact")),
        (TEXT, "a\nb", "a\\nb", ("text", "newlines → the two characters `\\n`")),
        (TEXT, " a ", "a", ("text", "blanks trimmed")),
        (TEXT, "a", "b", ("text", "changed")),
        (TEXT, "a", None, ("text", "null")),
        (NUMBER, LONG, LONG, ("digits", "exact")),
        (NUMBER, LONG, float(LONG), ("digits", "rounded to a double")),
        (NUMBER, LONG, Decimal(12345678901), ("digits", "changed")),
        (NUMBER, LONG, str(LONG), ("digits", "as text")),
        (NUMBER, Decimal("0.1"), 0.1, ("digits", "exact")),
        (NUMBER, 9007199254740993, 9007199254740992.0, ("digits", "rounded to a double")),
        (NUMBER, 5, None, ("digits", "null")),
        (BOOLEAN, True, True, ("booleans", "exact")),
        (BOOLEAN, True, 1, ("booleans", "as 0 and 1")),
        (BOOLEAN, True, "True", ("booleans", "as text")),
        (BOOLEAN, True, False, ("booleans", "changed")),
        (MOMENT, AT, MOMENT_OF_AT, ("times", "exact")),
        (MOMENT, AT, WITHOUT_ZONE, ("times", "without zone")),
        (MOMENT, AT, WITHOUT_ZONE.replace(microsecond=123000), ("times", "cut to milliseconds")),
        (MOMENT, AT, WITHOUT_ZONE.replace(microsecond=0), ("times", "cut to seconds")),
        (MOMENT, AT, WITHOUT_ZONE.replace(hour=5), ("times", "changed")),
        (MOMENT, AT, "2026-02-12 05:42:48.123456+01", ("times", "as text")),
        (DATE, "0001-01-01", dt.date(1, 1, 1), ("times", "exact")),
        (DATE, "0001-01-01", MIDNIGHT, ("times", "date as timestamp")),
        (DATE, "0001-01-01", "0001-01-01", ("times", "as text")),
        (OBJECT, {"a": 1}, '{"a": 1}', ("json", "exact")),
        (OBJECT, {"a": 1}, "{'a': 1}", ("json", "Python's repr")),
        (OBJECT, {"a": 1}, '{"a": 2}', ("json", "changed")),
    ],
)
def test_a_cell_is_compared_with_the_message(schema, expected, stored, verdict):
    from judge import judge_cell

    assert judge_cell(schema, expected, stored) == verdict


def test_rows_that_are_missing_too_many_or_doubled_are_counted():
    from judge import judge
    from messages import Table

    table = Table({"id": TEXT, "n": NUMBER}, ("id",))
    table.rows = {(key,): {"id": key, "n": 1} for key in "abc"}
    stored = [{"ID": "a", "N": 1}, {"ID": "a", "N": 1}, {"ID": "x", "N": 1}]
    finding = judge({"t": table, "empty": Table({}, ())}, {"t": stored})
    assert (finding.rows, finding.missing, finding.surplus, finding.doubled) == (3, 2, 1, 1)
    assert finding.absent == ["empty"]
    assert finding.cells == {"text": {"exact": 1}, "digits": {"exact": 1}}


def test_messages_say_what_a_table_holds_after_each_load(tmp_path):
    from messages import Load

    schema = (
        '{"type":"SCHEMA","stream":"t","schema":{"properties":{"id":{}}},"key_properties":["id"]}'
    )
    row = '{{"type":"RECORD","stream":"t","record":{{"id":"{}","n":{}}}}}'
    activate = '{"type":"ACTIVATE_VERSION","stream":"t","version":1}'

    def load(name, *lines):
        path = tmp_path / name
        path.write_text("\n".join((schema, *lines)) + "\n")
        return Load(path)

    first = load("first", row.format("a", 1), row.format("b", 2)).tables()
    changed = load("changed", row.format("b", "3.10")).tables(first)
    shrunken = load("shrunken", row.format("c", 4), activate).tables(changed)
    assert {key: row["n"] for (key,), row in first["t"].rows.items()} == {"a": 1, "b": 2}
    assert {key: str(row["n"]) for (key,), row in changed["t"].rows.items()} == {
        "a": "1",
        "b": "3.10",
    }
    assert {key: row["n"] for (key,), row in shrunken["t"].rows.items()} == {"c": 4}


def test_a_csv_file_tells_an_empty_field_from_an_empty_string(tmp_path):
    from stores import CSV

    (tmp_path / "t.csv").write_bytes(b'id,a,b\r\n1,"",\r\n"x ""y"",\nz",,"2"\n')
    assert CSV(tmp_path).tables() == {
        "t": [{"id": "1", "a": "", "b": None}, {"id": 'x "y",\nz', "a": None, "b": "2"}]
    }
