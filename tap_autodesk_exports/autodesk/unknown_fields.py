"""Fields of answers that this release does not know: named once in a run, for each API."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.json_reading import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tap_autodesk_exports.autodesk.expected import Fields

logger = logging.getLogger("tap-autodesk-exports")

WORD = re.compile(r"[a-z]+(-[a-z]+)*|refreshUrl")
"""A part of a path that is no ID."""
_FIELD = re.compile(r"(?!(?:.*\d){4})[A-Za-z_$][\w$-]{0,63}", re.ASCII)
"""A name that an API gives a field. Keys of a map may be IDs, addresses, names of people."""
WRAPPERS = ("exports", "results")
"""Keys of a page that hold its entries."""


class UnknownFields:
    """Compares the answers of all APIs with what this release expects.

    Args:
        expected: Title of an API -> endpoint -> its fields; no two have an endpoint in common.
    """

    def __init__(self, expected: Mapping[str, Mapping[str, Fields]]) -> None:
        self._known = {
            endpoint: (title, {name for field in fields for name in with_parents(field)})
            for title, endpoints in expected.items()
            for endpoint, fields in endpoints.items()
        }
        self._named: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def __call__(self, method: str, path: str, answer: requests.Response) -> None:
        """Look at an answer."""
        endpoint = f"{method} {template(path)}"
        title, known = self._known.get(endpoint, ("", set()))
        if not title or not answer.ok:
            return
        try:
            body = read_json(answer.content)
        except ValueError:  # the client says so
            return
        found = {field for entry in _entries(body) for field in _fields(entry)} - known
        with self._lock:
            new = sorted(field for field in found if (title, field) not in self._named)
            self._named.update((title, field) for field in new)
        if new:
            logger.warning(
                "%s answers %s with fields that this release of the tap does not know: %s. Where "
                "the answer is a stream, they are kept in _rescued_data.",
                title,
                endpoint,
                ", ".join(f"'{field}'" for field in new),
            )


def with_parents(field: str) -> Iterator[str]:
    """Yield a field and those that it is nested in: `a.b`, `a`."""
    while field:
        yield field
        field = field.rpartition(".")[0]


def template(path: str) -> str:
    """Return a path without IDs: `/contract/:id/enrichment`."""
    return "/".join(part if WORD.fullmatch(part) or not part else ":id" for part in path.split("/"))


def field_name(name: str) -> str:
    """Return a field's name as it can be shown: `:id` where it may be an ID or a person."""
    return name if _FIELD.fullmatch(name) else ":id"


def _entries(body: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    if isinstance(body, Mapping):
        key = next((key for key in WRAPPERS if isinstance(body.get(key), list)), None)
        entries = body[key] if key else [body]
    else:
        entries = body if isinstance(body, list) else []
    yield from (entry for entry in entries if isinstance(entry, Mapping))


def _fields(entry: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the names of fields with values, nested ones as `a.b`."""
    for name, value in entry.items():
        field = prefix + field_name(name)
        if value is not None:
            yield field
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                yield from _fields(each, f"{field}.")
