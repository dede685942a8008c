"""Edits of a JSON document: fields set, taken out, or turned into text.

A path names fields by keys with dots between them: `downloads`, `pagination.totalResults`,
`results.0.id`; `*` means every element of an array or every value of an object, and the empty path
the document itself. A path that leads nowhere changes nothing, but a last key that an object lacks
is added to it.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Edits:
    """What to do with a document, in this order.

    Attributes:
        values: Path -> what stands there instead, or what is added.
        as_text: Paths of numbers, arrays and objects that become text, as JSON.
        removed: Paths of fields that are taken out.
    """

    values: Mapping[str, Any]
    as_text: Sequence[str] = ()
    removed: Sequence[str] = ()

    def of(self, document: Any) -> Any:  # noqa: ANN401
        """Return the edited document."""
        root = {"": copy.deepcopy(document)}
        for path, value in self.values.items():
            for holder, key in _places(root, path):
                _put(holder, key, value)
        for path in self.as_text:
            for holder, key in _places(root, path):
                if _has(holder, key) and not isinstance(holder[key], str):
                    holder[key] = json.dumps(holder[key])
        for path in self.removed:
            # From the last one on: what is taken out of an array moves the rest.
            for holder, key in reversed(list(_places(root, path))):
                if _has(holder, key):
                    del holder[key]
        return root.get("")


def _places(root: dict[str, Any], path: str) -> Iterator[tuple[Any, Any]]:
    """Yield container and key of every place that a path leads to."""
    places: list[tuple[Any, Any]] = [(root, "")]
    for step in path.split(".") if path else []:
        inner = [holder[key] for holder, key in places if _has(holder, key)]
        places = [(one, key) for one in inner for key in _keys(one, step)]
    yield from places


def _keys(holder: object, step: str) -> list[Any]:
    if isinstance(holder, list):
        if step == "*":
            return list(range(len(holder)))
        return [int(step)] if step.isdigit() else []
    if isinstance(holder, dict):
        return list(holder) if step == "*" else [step]
    return []


def _has(holder: Any, key: Any) -> bool:  # noqa: ANN401
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _put(holder: Any, key: Any, value: Any) -> None:  # noqa: ANN401
    if isinstance(holder, list) and key >= len(holder):
        holder.append(copy.deepcopy(value))
    else:
        holder[key] = copy.deepcopy(value)
