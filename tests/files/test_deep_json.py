"""JSON that is nested more deeply than it can be read, or written, is a sentence."""

from __future__ import annotations

import pytest

from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.json_list import list_to_csv


@pytest.mark.parametrize("depth", [900, 5000, 200_000])
def test_a_list_whose_cells_are_nested_too_deeply_is_one_sentence(tmp_path, depth):
    path = tmp_path / "list.json"
    path.write_text(f'[{{"a": {"[" * depth}{"]" * depth}}}]')
    with pytest.raises(FileError, match="nested too deeply"):
        list_to_csv(path, tmp_path / "list.csv")


def test_a_list_whose_cells_are_nested_is_written(tmp_path):
    path, target = tmp_path / "list.json", tmp_path / "list.csv"
    path.write_text(f'[{{"a": {"[" * 50}{"]" * 50}}}]')
    list_to_csv(path, target)
    assert target.read_text() == f"a\n{'[' * 50}{']' * 50}\n"
