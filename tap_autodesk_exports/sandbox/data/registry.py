"""The bundled registry of Data Connector tables, as the sandbox reads it."""

from __future__ import annotations

import dataclasses
import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of an extract; `columns` maps name to type in the order of the file."""

    name: str
    group: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    replication_key: str | None
    soft_delete: str | None
    in_enum: bool
    links: Mapping[str, str]
    enums: Mapping[str, tuple[str, ...]]

    @property
    def short(self) -> str:
        """Name within the service group."""
        return self.name.removeprefix(f"{self.group}_")


@functools.cache
def load() -> Mapping[str, Table]:
    """Return all bundled tables by the stem of their file, in order of name."""
    text = resources.files("tap_autodesk_exports.autodesk.data_connector.schema").joinpath(
        "data_connector.json"
    )
    raw: dict[str, dict[str, Any]] = json.loads(text.read_text(encoding="utf-8"))
    return {name: _table(name, entry) for name, entry in raw.items()}


def _table(name: str, entry: Mapping[str, Any]) -> Table:
    return Table(
        name=name,
        group=entry["service_group"],
        columns=entry["columns"],
        key=tuple(entry["primary_key"] or ()),
        replication_key=entry["replication_key"],
        soft_delete=entry["soft_delete"],
        in_enum=entry["group_in_request_enum"],
        links=entry.get("foreign_keys", {}),
        enums={column: tuple(values) for column, values in entry.get("enums", {}).items()},
    )
