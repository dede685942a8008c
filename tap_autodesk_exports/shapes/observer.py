"""Looks at every answer that the clients get, and keeps its shape."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.unknown_fields import WRAPPERS, field_name, template
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.shapes.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests


@dataclasses.dataclass
class Shape:
    """What an endpoint answers.

    Attributes:
        statuses: HTTP status codes.
        content_types: Content types, without parameters.
        wrapper: Names of the fields of a page around its entries, nested ones as `a.b` -> kinds.
        fields: Names of the fields, nested ones as `a.b` -> their kinds.
        entries: How many objects were seen.
        largest: Bytes of the largest answer.
    """

    statuses: set[int] = dataclasses.field(default_factory=set)
    content_types: set[str] = dataclasses.field(default_factory=set)
    wrapper: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    fields: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    entries: int = 0
    largest: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it with sorted lists."""
        return {
            "statuses": sorted(self.statuses),
            "content_types": sorted(self.content_types),
            "wrapper": {name: sorted(kinds) for name, kinds in sorted(self.wrapper.items())},
            "fields": {name: sorted(kinds) for name, kinds in sorted(self.fields.items())},
            "entries": self.entries,
            "largest_bytes": self.largest,
        }


class Observer:
    """The shapes of all endpoints that were called."""

    def __init__(self) -> None:
        self.shapes: dict[str, Shape] = {}
        self._lock = threading.Lock()

    def for_api(self, api: str) -> _ApiObserver:
        """Return what observes the answers of one API."""
        return _ApiObserver(self, api)

    def note(self, api: str, method: str, path: str, answer: requests.Response) -> None:
        """Keep the shape of an answer."""
        with self._lock:
            shape = self.shapes.setdefault(f"{api} {method} {template(path)}", Shape())
            shape.statuses.add(answer.status_code)
            content_type = answer.headers.get("Content-Type", "none").partition(";")[0]
            shape.content_types.add(content_type)
            shape.largest = max(shape.largest, len(answer.content))
            if not answer.ok:
                return  # errors have shapes of their own, and may quote what was sent
            try:
                body = read_json(answer.content or b"null")
            except ValueError:
                shape.fields.setdefault("(entry)", set()).add("not JSON")
                return
            self._note_body(shape, body)

    def _note_body(self, shape: Shape, body: Any) -> None:  # noqa: ANN401
        entries: Any = body
        key = next((key for key in WRAPPERS if key in body), None) if _is_page(body) else None
        if _is_page(body):
            lists = {name for name, value in body.items() if isinstance(value, list)}
            around = {name: value for name, value in body.items() if name not in lists}
            _note_fields(shape.wrapper, around)
            for name in lists:
                shape.wrapper.setdefault(field_name(name), set()).add("entries")
            entries = body[key] if key in lists else []
        for entry in entries if isinstance(entries, list) else [entries]:
            if isinstance(entry, dict):
                shape.entries += 1
                _note_fields(shape.fields, entry)
            else:
                shape.entries += 1
                shape.fields.setdefault("(entry)", set()).add(kind_of(entry))


@dataclasses.dataclass(frozen=True)
class _ApiObserver:
    observer: Observer
    api: str

    def __call__(self, method: str, path: str, answer: requests.Response) -> None:
        self.observer.note(self.api, method, path, answer)


def _is_page(body: Any) -> bool:  # noqa: ANN401
    """Tell whether an answer is a page, as it lists entries or says how many there are."""
    if not isinstance(body, dict):
        return False
    return "pagination" in body or any(isinstance(body.get(key), list) for key in WRAPPERS)


def _note_fields(fields: dict[str, set[str]], entry: Mapping[str, Any], prefix: str = "") -> None:
    for name, value in entry.items():
        field = prefix + field_name(name)
        match value:
            case dict():
                _note_fields(fields, value, f"{field}.")
            case [dict(), *_]:
                for item in value:
                    if isinstance(item, dict):
                        _note_fields(fields, item, f"{field}.")
            case _:
                fields.setdefault(field, set()).add(kind_of(value))
