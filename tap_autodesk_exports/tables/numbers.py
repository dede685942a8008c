"""How the numbers of a table are stored in Parquet files: in one type, whatever the file holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_MOST_DIGITS = 38
"""Digits of the widest decimal in Parquet and DuckDB."""


@dataclass(frozen=True)
class ParquetNumbers:
    """The Parquet type of number columns."""

    digits: int = 0
    """Digits of a decimal; 0 for text."""
    scale: int = 0
    """How many of them are after the point."""

    @classmethod
    def parse(cls, text: str) -> ParquetNumbers:
        """Read `text`, or a decimal such as `decimal(38,10)`.

        Raises:
            ValueError: It is neither, or a decimal that does not exist.
        """
        if text == "text":
            return cls()
        found = _DECIMAL.fullmatch(text)
        digits, scale = (int(found[1]), int(found[2])) if found else (0, 0)
        if not max(1, scale) <= digits <= _MOST_DIGITS:
            message = (
                f"'{text[:40]}' is not a type for numbers in Parquet files: write text, or a "
                "decimal of at most 38 digits such as decimal(38,10), of which 10 are after the "
                "point."
            )
            raise ValueError(message)
        return cls(digits, scale)

    def __str__(self) -> str:
        """Return what `parse` reads."""
        return f"decimal({self.digits},{self.scale})" if self.digits else "text"

    @property
    def sql(self) -> str:
        """The type in SQL."""
        return f"DECIMAL({self.digits}, {self.scale})" if self.digits else "VARCHAR"


DECIMAL = ParquetNumbers(38, 10)
"""28 digits before the point and 10 after it."""
