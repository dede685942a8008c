"""The types that a column may have, and what they are in a Singer schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Type(StrEnum):
    """The type of a column, by what its cells mean."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class Column:
    """A column that the catalog knows."""

    name: str
    type: Type = Type.STRING


_FORMATS = {Type.DATE: "date", Type.TIME: "time", Type.TIMESTAMP: "date-time"}


def json_schema(type: Type) -> dict[str, Any]:  # noqa: A002
    """Return the JSON schema of a column of this type; every column may be null."""
    if type in _FORMATS:
        return {"type": ["string", "null"], "format": _FORMATS[type]}
    return {"type": [type.value, "null"]}
