"""Whatever a list holds, an export of it has the cells of the records, or says why it has none."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from tap_autodesk_exports.destinations import pieces
from tap_autodesk_exports.destinations.layout import Layout
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.tables.engine import Engine
from tap_autodesk_exports.tables.numbers import ParquetNumbers
from tap_autodesk_exports.tables.types import Type

TEXT, DECIMAL, MONEY = (ParquetNumbers.parse(x) for x in ("text", "decimal(38,10)", "decimal(9,2)"))


@pytest.fixture
def written(tmp_path):
    """`written(value, type, numbers)` returns what a file holds of a value."""

    def write(value, type_, numbers=DECIMAL):
        for name in ("engine", "pieces"):
            (tmp_path / name).mkdir()
        columns = {"id": Type.STRING, "value": type_}
        layout = Layout("x", columns, {n: n for n in columns}, ("id",), frozenset(), numbers)
        engine = Engine(tmp_path / "engine")
        records = [{"id": "1", "value": value}]
        files, count = pieces.of_records(records, layout, numbers, engine, tmp_path / "pieces")
        assert count == 1
        return pq.ParquetFile(files[0]).read().to_pylist()[0]["value"]

    return write


@pytest.mark.parametrize("numbers", [TEXT, DECIMAL])
@pytest.mark.parametrize(
    "number",
    [0, 10**18, -(10**27), 10**28 - 1, Decimal("1E+20"), Decimal("1E-10"), Decimal("-0.5"),
     Decimal("0E-30"), Decimal("12345678901234567890.1234567891"), Decimal("1.50000000000000")],
)  # fmt: skip
def test_a_number_keeps_all_of_its_digits(written, number, numbers):
    assert Decimal(written(number, Type.NUMBER, numbers)) == number


@pytest.mark.parametrize(
    ("number", "numbers"),
    [
        (10**28, DECIMAL),
        (10**400, DECIMAL),
        (Decimal("1E-11"), DECIMAL),
        (Decimal("1E-400000"), DECIMAL),
        (Decimal("12345678901234567890.12345678901"), DECIMAL),
        (10**7, MONEY),
        (Decimal("0.001"), MONEY),
    ],
)
def test_a_number_without_room_is_a_sentence(written, number, numbers):
    with pytest.raises(TapError, match="cannot store without a change"):
        written(number, Type.NUMBER, numbers)


@pytest.mark.parametrize("text", ["", "\u2028\n\r\n\t", "x\0y", "\U0001f600", '"\\', "z" * 10**6])
def test_a_text_is_kept(written, text):
    assert written(text, Type.STRING) == text


def test_a_list_is_text_that_holds_json(written):
    assert json.loads(written(["a", None, "\u00e9"], Type.STRING)) == ["a", None, "\u00e9"]


@pytest.mark.parametrize("value", ["\ud800", ["\udc00"], "z" * 40_000_000])
def test_what_nothing_can_keep_is_a_sentence(written, value):
    with pytest.raises(TapError, match=r"half of a character|too large"):
        written(value, Type.STRING)
