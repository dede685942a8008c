"""Settings that come from the environment reach the tap through Meltano, whatever their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.schema import json_schema

if TYPE_CHECKING:
    from end_to_end.meltano_project import MeltanoProject

NUMBERS = [
    name
    for name, schema in json_schema(Settings)["properties"].items()
    if "number" in schema["type"]
]


def test_numbers_reach_the_tap_as_they_are_written(project: MeltanoProject):
    for text, code in (("0.75", 0), ("soon", 1)):
        project.settings = dict.fromkeys(NUMBERS, text)
        done = project.meltano("invoke", "--no-install", "tap-autodesk-exports", "--discover")
        assert done.returncode == code, done.stderr[-3000:]
    for name in NUMBERS:
        assert f"Setting '{name}' ('soon') is not a number" in done.stderr
