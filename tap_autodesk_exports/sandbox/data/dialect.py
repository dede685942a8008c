"""The CSV dialect of the extracts.

Observed in real extracts: comma, RFC 4180 with minimal quoting, LF, a null is an empty cell and an
empty string is a quoted one; UTF-8 with BOM in all files but four.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

WITHOUT_BOM = frozenset(
    {
        "assets_asset_custom_attribute_values",
        "assets_assets",
        "assets_categories",
        "metadata",
    }
)

_SPECIAL = re.compile(r'[",\r\n]')


def line(cells: Iterable[str | None]) -> str:
    """Write one record; a null is nothing at all, an empty string a pair of quotes."""
    return ",".join(_cell(cell) for cell in cells) + "\n"


def _cell(cell: str | None) -> str:
    if cell is None:
        return ""
    if not cell or _SPECIAL.search(cell):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def document(header: Sequence[str], rows: Iterable[Iterable[str | None]], *, bom: bool) -> bytes:
    """Write a whole file."""
    text = line(header) + "".join(line(row) for row in rows)
    return text.encode("utf-8-sig" if bom else "utf-8")


def timestamp(instant: dt.datetime) -> str:
    """Write an instant in UTC as the extracts do: without its zone, trailing zeros trimmed."""
    text = str(instant).removesuffix("+00:00")
    return text.rstrip("0") if "." in text else text
