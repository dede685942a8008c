"""The types that a column may have, and what they are in a Singer schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Type(StrEnum):
    """The type of a column, by what its cells mean."""

    STRING = "string"
    UUID = "UUID"
    """Text of at most 36 bytes, so that a target can give it a column of that size."""
    NUMBER = "number"
    INTEGER = "integer"
    """A whole number of 64 bits."""
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIME_TEXT = "time as text"
    """The same cells as TIME; the schema and Parquet call it text, as some targets need."""
    TIMESTAMP = "timestamp"

    @property
    def is_text(self) -> bool:
        """Whether values are texts of any kind."""
        return self in {Type.STRING, Type.UUID}

    @property
    def is_number(self) -> bool:
        """Whether values are JSON numbers."""
        return self in {Type.NUMBER, Type.INTEGER}


@dataclass(frozen=True)
class Column:
    """A column that the catalog knows."""

    name: str
    type: Type = Type.STRING


UUID_LENGTH = 36
LONGEST_VALUE = 16 << 10
"""Bytes that a cell may have to fit any type but text."""
_TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$"
DETAILS: dict[Type, dict[str, Any]] = {
    Type.UUID: {"maxLength": UUID_LENGTH},
    Type.DATE: {"format": "date"},
    Type.TIME: {"format": "time"},
    Type.TIME_TEXT: {"pattern": _TIME_PATTERN},
    Type.TIMESTAMP: {"format": "date-time"},
}
"""What tells a type in a JSON schema apart from other texts."""


def json_schema(type: Type) -> dict[str, Any]:  # noqa: A002
    """Return the JSON schema of a column of this type; every column may be null."""
    name = "string" if type in DETAILS else type.value
    return {"type": [name, "null"], **DETAILS.get(type, {})}
