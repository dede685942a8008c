"""A keyed hash in place of personal data: HMAC with SHA-256 (RFC 2104), as 64 hex digits.

The same text gives the same hash in every stream and every run with the same key. Addresses differ
in their case from one Autodesk API to the other (observed), so the letters A to Z of a text with an
`@` are taken as small ones, and blanks around it do not count. Null, the empty string and
Autodesk's own mask stay as they are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import string
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.long_cells import MARK
from tap_autodesk_exports.tables.spelling import snake_case

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

_REPEATED = re.compile(r"#\d+$")
MASK = "*****"
"""What Insights shows instead of personal data (documented)."""
_BLOCK = 64
_KEPT = ("", MASK)
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclasses.dataclass(frozen=True)
class Hashing:
    """Which columns are hashed, and with which key."""

    applies: Callable[[str], bool]
    """Tells whether a column of this very name is hashed; see `hides`."""
    key: bytes = dataclasses.field(repr=False)

    def hides(self, name: str) -> bool:
        """Tell whether values of a name are hashed, known or not.

        So are those of a further column of the same name, `email#2`, and of `Email` and `eMail`.
        """
        base = _REPEATED.sub("", name)
        return self.applies(base) or self.applies(snake_case(base))

    def of(self, text: str) -> str:
        """Return the hash of a text, or the text itself where it stays as it is."""
        if text in _KEPT:
            return text
        same = text.strip(" ").translate(_SMALL) if "@" in text else text
        return hmac.new(self.key, same.encode(), hashlib.sha256).hexdigest()

    def define(self, database: duckdb.DuckDBPyConnection) -> None:
        """Make the same function known to a database, as `keyed_hash(text)`; marks stay.

        DuckDB has no HMAC, so it is put together: SHA-256 over the outer pad and the SHA-256 over
        the inner pad and the text. The pads are in a macro in memory, and in no query.
        """
        key = hashlib.sha256(self.key).digest() if len(self.key) > _BLOCK else self.key
        inner, outer = (
            "unhex('" + bytes(byte ^ pad for byte in key.ljust(_BLOCK, b"\0")).hex() + "')"
            for pad in (0x36, 0x5C)
        )
        kept = ", ".join(f"'{text}'" for text in _KEPT)
        database.execute(
            "CREATE TEMP MACRO mac(text) AS"
            f" sha256({outer} || unhex(sha256({inner} || encode(text))))"
        )
        database.execute(
            "CREATE TEMP MACRO keyed_hash(text) AS CASE"
            f" WHEN text IN ({kept}) OR starts_with(text, '{MARK}') THEN text"
            f" WHEN contains(text, '@') THEN mac(translate(trim(text), '{string.ascii_uppercase}',"
            f" '{string.ascii_lowercase}')) WHEN text IS NOT NULL THEN mac(text) END"
        )
