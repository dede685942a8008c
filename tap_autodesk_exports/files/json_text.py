"""JSON texts whose numbers keep their digits, and whose objects keep every member."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Object(tuple[tuple[str, Any], ...]):
    """The members of a JSON object in order, repeated names included."""

    __slots__ = ()


DECODER = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=Object
)


def compact(value: Any) -> str:  # noqa: ANN401
    """Write a value as compact JSON."""
    match value:
        case Number():
            return str(value)
        case Object():
            pairs = (f"{compact(name)}:{compact(member)}" for name, member in value)
            return "{" + ",".join(pairs) + "}"
        case dict():
            pairs = (f"{compact(str(name))}:{compact(member)}" for name, member in value.items())
            return "{" + ",".join(pairs) + "}"
        case Decimal():
            return str(value)
        case list():
            return "[" + ",".join(map(compact, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
