"""What an API answers otherwise than this release expects, as lines of names and kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.expected import AROUND
from tap_autodesk_exports.autodesk.unknown_fields import with_parents
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tap_autodesk_exports.autodesk.expected import Fields
    from tap_autodesk_exports.loading.dataset import Dataset
    from tap_autodesk_exports.shapes.files import FileShape
    from tap_autodesk_exports.shapes.observer import Shape

_TEXTS = {
    "text",
    "empty text",
    "date",
    "date-time",
    "time",
    "number as text",
    "boolean as text",
}
_ALLOWED = {
    "entries": {"entries"},
    "text": _TEXTS,
    "number": {"number"},
    "number or text": {"number", "number as text", "empty text"},
    "boolean": {"boolean"},
    "date": {"date", "empty text"},
    "date-time": {"date-time", "empty text"},
    "texts": {"empty list"},
    "texts or text": {"empty list", *_TEXTS},
    "objects": {"empty list"},
}
"""Kind that is expected -> kinds that it may be of, lists of texts apart."""
_CELLS = {
    Type.NUMBER: {"number as text"},
    Type.INTEGER: {"number as text"},
    Type.BOOLEAN: {"boolean as text", "number as text"},
    Type.DATE: {"date", "date-time"},
    Type.TIMESTAMP: {"date", "date-time"},
    Type.TIME: {"time"},
    Type.TIME_TEXT: {"time"},
}
"""Type of a column -> kinds that its cells may be of; of other types they may be of any."""


def of_endpoint(name: str, shape: Shape, expected: Fields | None) -> Iterator[str]:
    """Yield how an endpoint differs from what is expected.

    Args:
        name: The endpoint.
        shape: What it answered.
        expected: Its fields; None where this release does not call it.
    """
    if expected is None:
        yield f"{name}: this release does not know the endpoint"
        return
    if not any(status < 300 for status in shape.statuses):  # noqa: PLR2004 - 2xx
        yield f"{name}: answered {', '.join(map(str, sorted(shape.statuses)))}"
        return
    seen = shape.fields | {f"{AROUND}.{field}": each for field, each in shape.wrapper.items()}
    for field, kinds in sorted(seen.items()):
        if field not in expected:
            yield f"{name}: unknown field {field} ({', '.join(sorted(kinds))})"
            continue
        wanted = expected[field].removesuffix("?")
        if odd := sorted(kind for kind in kinds if not _fits(kind, wanted)):
            yield f"{name}: field {field} is {', '.join(odd)}, expected {wanted}"
    has_entries = bool(shape.fields.keys() - {"(entry)"})  # an entry that is no object has none
    for field in sorted(_missing(seen, expected)):
        if has_entries or field.startswith(AROUND):
            yield f"{name}: field {field} is missing"


def _missing(seen: Collection[str], expected: Fields) -> set[str]:
    """Return the fields that are missing; where all that are nested in one are, that one."""
    holding = {holder for field in seen for holder in [*with_parents(field)][1:]}
    found = set()
    for field, kind in expected.items():
        parent = field.rpartition(".")[0]
        if kind.endswith("?") or field in seen or field in holding:
            continue
        if parent in seen and parent not in holding:
            continue  # it is null, or an empty list
        found.add(parent if parent and parent not in holding else field)
    return found


def _fits(kind: str, wanted: str) -> bool:
    if kind == "null" or kind in _ALLOWED[wanted]:
        return True
    items = kind.removeprefix("list of ").split(" or ")
    return wanted.startswith("texts") and kind.startswith("list of ") and _TEXTS.issuperset(items)


def of_file(
    name: str, shape: FileShape, dataset: Dataset, optional: Collection[str]
) -> Iterator[str]:
    """Yield how a file's header differs from the columns that are expected.

    Args:
        name: The file.
        shape: What it is.
        dataset: What it should be.
        optional: Columns that it may lack.
    """
    if shape.problem:
        yield f"{name}: the file cannot be read as a table ({shape.problem})"
        return
    columns: Mapping[str, str] = {dataset.rename(header): header for header in shape.columns}
    expected = [name for name in dataset.columns if name not in dataset.copies]
    for column, header in columns.items():
        if column not in expected:
            yield f"{name}: unknown column {header}"
        elif column != header:
            yield f"{name}: column {column} is spelled {header}"
        kinds = {*shape.columns[header]} - {"empty text"}
        cells = _CELLS.get(dataset.columns[column], kinds) if column in expected else kinds
        if kinds and kinds.isdisjoint(cells):
            shown = ", ".join(sorted(kinds))
            yield f"{name}: column {column} is {shown}, expected {dataset.columns[column].value}"
    for column in expected:
        if column not in columns and column not in optional:
            yield f"{name}: column {column} is missing"
