"""The forms of text in some settings: what cannot work is refused before it is sent."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Form:
    """A form of text.

    Attributes:
        fits: Whether a text has the form.
        problem: What a text without it is, such as "is not a UUID".
        example: A text that has it.
        remedy: What to do about it; by default, to write it as the example.
    """

    fits: Callable[[str], object]
    problem: str
    example: str
    remedy: str | None = None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        named = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(named)
        and parts.username is None
        and not parts.query
        and not parts.fragment
        and not re.search(r"\s", text)
    )


_HEX = "[0-9a-f]"
_UUID = re.compile(
    rf"(b\.)?{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}", re.IGNORECASE
)
_DECIMAL = re.compile(r"text|decimal\((\d{1,2}), ?(\d{1,2})\)")
LARGEST_PRECISION = 38


def _is_parquet_number(text: str) -> bool:
    found = _DECIMAL.fullmatch(text)
    if not found or text == "text":
        return bool(found)
    precision, scale = int(found[1]), int(found[2])
    return 1 <= precision <= LARGEST_PRECISION and scale <= precision


HUB_ID = Form(
    _UUID.fullmatch,
    "is not the ID of an account or project",
    "0f5e4c3b-2a19-4807-96f5-e4d3c2b1a098",
)
"""A UUID; the Data Management API puts `b.` in front (documented)."""
JOB_ID = Form(
    re.compile(_UUID.pattern.removeprefix(r"(b\.)?"), re.IGNORECASE).fullmatch,
    "is not the ID of a job",
    "0f5e4c3b-2a19-4807-96f5-e4d3c2b1a098",
)
"""A UUID (documented)."""
NUMBER = Form(
    re.compile(r"[0-9A-Za-z_-]+").fullmatch,
    "is not a contract number or team ID",
    "110000123456",
)
"""Both are digits in all examples of the documentation, which does not say that they always are."""
SECRET = Form(
    re.compile(r"[!-~]+").fullmatch,
    "has a space, a line break or another character that no token or secret has",
    "…",
    "copy it again, without a line break at its end",
)
"""Sent in a header or a form (documented for tokens: visible ASCII)."""
APP = Form(
    re.compile(r"[!-~]+").fullmatch,
    "has a space, a line break or another character that no ID has",
    "…",
    "copy it again from Autodesk's developer portal",
)
URL = Form(
    _is_url,
    "is not the URL of a host",
    "https://developer.api.autodesk.com",
)
PARQUET_NUMBER = Form(
    _is_parquet_number,
    "is not a type of numbers",
    "decimal(38,10)",
    "write it as decimal(38,10), with at most 38 digits, or as text",
)
