"""A tap as the Singer SDK makes them: its record loop as it comes, over one CSV file.

`python sdk_tap.py --config FILE [--catalog FILE]`, with `path` and `stream` in the configuration:
the file of one table of a Data Connector extract, and the table's name.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from singer_sdk import Stream, Tap
from singer_sdk import typing as th
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

from tap_autodesk_exports.autodesk.data_connector.schema.registry import bundled


def _moment(text: str) -> str:
    return f"{text[:10]}T{text[11:]}Z"


TYPES: dict[str, tuple[dict[str, Any], Callable[[str], Any]]] = {
    "number": ({"type": ["number", "null"]}, float),
    "boolean": ({"type": ["boolean", "null"]}, "t".__eq__),
    "timestamp: SQL": ({"type": ["string", "null"], "format": "date-time"}, _moment),
}
"""Type in the extract's schema -> JSON schema, and how a cell is read."""
TEXT: tuple[dict[str, Any], Callable[[str], Any]] = ({"type": ["string", "null"]}, str)


class Rows(Stream):
    """The rows of the file."""

    @override
    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        columns = bundled()[self.name]["columns"]
        casts = [(name, TYPES.get(type_, TEXT)[1]) for name, type_ in columns.items()]
        with Path(self.config["path"]).open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                yield {name: cast_(row[name]) if row[name] else None for name, cast_ in casts}


class TapSDK(Tap):
    """The tap."""

    name = "tap-sdk"
    config_jsonschema = th.PropertiesList(
        th.Property("path", th.StringType, required=True),
        th.Property("stream", th.StringType, required=True),
    ).to_dict()

    @override
    def discover_streams(self) -> list[Stream]:
        name = self.config["stream"]
        table = bundled()[name]
        schema = {
            "type": "object",
            "properties": {
                column: TYPES.get(type_, TEXT)[0] for column, type_ in table["columns"].items()
            },
        }
        stream = Rows(self, schema=schema, name=name)
        stream.primary_keys = table["primary_key"]
        return [stream]


if __name__ == "__main__":
    cast("Any", TapSDK).cli()
