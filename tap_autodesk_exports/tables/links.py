"""Signed links: whoever has one can read a file, so the signature must not leave with the rows."""

from __future__ import annotations

import re
from urllib.parse import unquote

from tap_autodesk_exports.redaction import BLOT

_URL = re.compile(
    # As it is, in a JSON text that escapes slashes, or encoded as part of another URL.
    r"\b[a-z][a-z0-9+.-]{0,30}(?::(?:\\?/){2}[^\s\"'<>]*|%3a%2f%2f[^\s\"'<>&]*)",
    re.IGNORECASE,
)
_QUERY = re.compile(r"\?|%3f", re.IGNORECASE)
_SEPARATOR = re.compile(r"[?&;#]|\\u0026|&amp;", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"(?:^|[^a-z])sig(?:$|[^a-z])|signature|(?:^|[^a-z])hmac(?:$|[^a-z])", re.IGNORECASE
)
_TOKEN = re.compile(
    r"token|credential|password|secret|(?:^|[^a-z])hdn(?:ts|ea)(?:$|[^a-z])", re.IGNORECASE
)
_SHORTEST_TOKEN = 16
"""Characters of a value that is a token, and not the number of one."""


def may_hold_signature(lines: bytes) -> bool:
    """Tell quickly whether some lines may hold a signed link; mostly, they do not."""
    has_url = b"?" in lines and (b"://" in lines or b":\\/" in lines)
    is_encoded = b"%" in lines and re.search(rb"%3a%2f%2f", lines, re.IGNORECASE)
    if not has_url and not is_encoded:
        return False
    return any(_signed(found[0]) for found in _URL.finditer(lines.decode(errors="replace")))


def without_signatures(text: str) -> str:
    """Return a text in which each signed link has lost its query.

    A link is signed if a parameter of its query is called a signature, or holds a long token: of
    S3, Azure, Google Cloud, CloudFront and the like, whatever the column is called that it is in.
    """
    if "?" not in text and "%" not in text:
        return text
    return _URL.sub(lambda found: _cut(found[0]), text)


def _cut(url: str) -> str:
    if not _signed(url):
        return url
    query = _QUERY.search(url)
    return url[: query.end() if query else 0] + BLOT


def _signed(url: str) -> bool:
    query = _QUERY.search(url)
    if not query:
        return False
    text = url[query.start() :]
    # Encoded once where the link is part of another one, twice where that is encoded as well.
    for encoded in (text, unquote(text), unquote(unquote(text))):
        for parameter in _SEPARATOR.split(encoded):
            name, _, value = parameter.partition("=")
            if value and _SIGNATURE.search(name):
                return True
            if len(value) >= _SHORTEST_TOKEN and _TOKEN.search(name):
                return True
    return False
