"""Switches: what a part of the sandbox is like, until it is switched back.

A fault (`faults.py`) makes single requests or exports go wrong. A switch changes the part itself:
how it spells names, how long it keeps files, what its lists leave out. Each part declares its
switches as the fields of a dataclass, documents them there, and has them as attributes;
`Sandbox.switch` and the admin endpoint `/sandbox/behaviour` set them from JSON.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def one_of(default: str, *others: str) -> str:
    """Declare a field that takes one of several words."""
    field: str = dataclasses.field(default=default, metadata={"choices": (default, *others)})
    return field


@dataclasses.dataclass(eq=False)
class Behaviour:
    """The switches of one part."""

    def as_json(self) -> dict[str, Any]:
        """Return every switch with its present setting."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: sorted(value) if isinstance(value, set) else value
            for name, value in found.items()
        }

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings as they may be assigned.

        Raises:
            ValueError: There is no such switch, or it does not take such a value.
        """
        fields = {field.name: field for field in dataclasses.fields(self)}
        settings = {}
        for name, value in given.items():
            if name not in fields:
                msg = f"There is no switch {name!r}, only {', '.join(sorted(fields))}."
                raise ValueError(msg)
            choices = fields[name].metadata.get("choices")
            if choices is not None and value not in choices:
                msg = f"{name} must be one of {', '.join(choices)}, not {value!r}."
                raise ValueError(msg)
            settings[name] = _as(type(getattr(self, name)), name, value)
        return settings

    def change(self, given: Mapping[str, Any]) -> None:
        """Set switches: all of them, or none.

        Raises:
            ValueError: There is no such switch, or it does not take such a value.
        """
        for name, value in self.checked(given).items():
            setattr(self, name, value)


def _as(kind: type, name: str, value: object) -> object:
    if kind is set and isinstance(value, list):
        return set(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        msg = f"{name} takes a {kind.__name__}, not {value!r}."
        raise ValueError(msg)
    return value
