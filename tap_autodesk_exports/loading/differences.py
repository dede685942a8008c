"""In what a file differs from its catalog, reported once for each dataset."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.tables.table import Table

logger = logging.getLogger("tap-autodesk-exports")

_MOST = 20
"""Names in one message: a file may have thousands of unknown columns."""


class Differences:
    """What was reported of the files of one dataset.

    Args:
        selected: The dataset.
    """

    def __init__(self, selected: Selected) -> None:
        self._selected = selected
        self._reported: dict[str, set[str]] = {}

    def before(self, table: Table, file: str) -> None:
        """Report what a file's header shows."""
        if unknown := self._new("unknown", table.unknown):
            logger.warning(
                "Columns of '%s' that the catalog does not know are kept in _rescued_data: %s. %s",
                file,
                _not_shown(unknown) if table.is_doubtful else _listed(unknown),
                self._selected.dataset.remedy,
            )
        if missing := self._new("missing", table.missing):
            logger.info("Not in '%s', so null: %s.", file, _listed(missing))

    def after(self, table: Table, file: str) -> None:
        """Report what its rows have shown."""
        shapes = table.unfitting()
        for name in self._new("unfitting", shapes):
            type_ = self._selected.schema.types[name].value
            article = "an" if type_[0] in "aeiou" else "a"
            example = f", such as '{shapes[name]}'" if shapes[name] else ""
            logger.warning(
                "No value of column '%s' in '%s' is %s %s%s (9 is any digit, a any letter), so the "
                "column is null and the values are in _rescued_data. To have them in the column, "
                "make it a string in the catalog (in meltano.yml: `schema: {%s: {%s: {type: "
                "[string, 'null']}}}`); and please report it.",
                name,
                file,
                article,
                type_,
                example,
                self._selected.name,
                name,
            )
        if links := self._new("links", table.signed_links):
            logger.warning(
                "Links in '%s' hold a signature, so they are loaded without their query: %s.",
                file,
                _listed(links),
            )

    def _new(self, kind: str, names: Iterable[str]) -> list[str]:
        """Return the names that were not reported before."""
        reported = self._reported.setdefault(kind, set())
        new = [name for name in names if name not in reported]
        reported.update(new)
        return new


def _not_shown(names: list[str]) -> str:
    return f"{len(names)}, not named here because hashed values may stand among their names"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
