"""JSON from elsewhere: one reader, and whatever is wrong with a text is a ValueError."""

from __future__ import annotations

import re

import pytest

from support.processes import ROOT
from tap_autodesk_exports import json_reading
from tap_autodesk_exports.json_reading import DEEPEST, TooDeep, TooMuch, read_json

PACKAGE = ROOT / "tap_autodesk_exports"
READS_ITSELF = re.compile(r"\bjson\.loads?\(|\w\.json\(\)|RecursionError")
OTHERS = {
    "json_reading.py",
    "settings/config.py",
    "files/json_list.py",
    "tables/nested.py",
    "tables/identity.py",
}
"""The reader itself, a guard of the SDK, readers of cells and files, a method called `json`."""


def nested(depth: int, begin: str = "[", end: str = "]") -> str:
    return begin * depth + end * depth


@pytest.mark.parametrize(
    "text",
    [
        nested(DEEPEST + 2),
        nested(900),
        nested(200_000),
        "[" * 200_000,
        '{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1),
        '[{"a": 1, "b": [' * 60 + "]}]" * 60,
    ],
    ids=["one too many", "below the limit of Python", "beyond it", "open", "objects", "both"],
)
def test_what_is_nested_too_deeply_is_an_error_that_says_so(text):
    with pytest.raises(ValueError, match="nested too deeply") as raised:
        read_json(text)
    assert isinstance(raised.value, TooDeep)


@pytest.mark.parametrize(
    "text",
    [
        "[" + "0," * 6_000_000 + "0]",
        b"[" + b"[]," * 3_000_000 + b"0]",
        "[" + '{"a":{"a":1}},' * 1_000_000 + "0]",
        '["' + "x" * (85 << 20) + '"]',
    ],
    ids=["numbers", "lists", "objects", "a text"],
)
def test_what_would_take_too_much_memory_is_not_read(text, monkeypatch):
    monkeypatch.setattr(json_reading.json, "loads", pytest.fail)
    with pytest.raises(TooMuch, match="more than 420 MB of memory"):
        read_json(text)


@pytest.mark.parametrize("text", [b"", b"\xff", b"9" * 5000, b"[][]", b"\0", "x"])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever kind
        read_json(text)


@pytest.mark.parametrize("text", [nested(DEEPEST), "7", "null", '"[[["', '{"a": [[], {}]}'])
def test_what_is_nested_as_deeply_as_anything_is_read(text):
    assert read_json(text) == eval(text, {"null": None})  # noqa: S307


def test_nothing_else_reads_json_from_elsewhere():
    found = {
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts and str(path.relative_to(PACKAGE)) not in OTHERS
        for line in path.read_text("utf-8").splitlines()
        if READS_ITSELF.search(line)
    }
    assert found == set()
