"""The last line of defence: what is secret is blotted out of every line that is logged.

Nothing of this tap puts a secret into a message. A library's message, a server's answer or the
text of an exception that nobody expected might.
"""

from __future__ import annotations

import base64
import collections
import functools
import html.entities
import itertools
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

BLOT = "***"
OURS = ("tap-autodesk-exports", "tap_autodesk_exports", "singer_sdk")
"""How the names of the loggers begin whose lines at DEBUG are known to hold no secret."""
LONGEST_LINE = 32 << 10
"""Characters of a line of the log."""
SHORTEST = 8
"""Characters; to blot out less than that would make other words unreadable and hide nothing."""
SHORTEST_SIGNATURE = 20
"""Characters of a value in a link's query that may be its signature, and is no date or number."""
KEPT_LINKS = 1000
MOST_CAUSES = 10
"""Errors of a chain that are shown."""
LONGEST_REASON = 500
"""Characters of an unexpected error's own text."""
MOST_BACKSLASHES = 3
"""In a secret that is looked for in any mixture of escapes: each may be one, or belong to one, so
that more of them would be looked for in too many ways. No token has any."""
_ALL_ESCAPED = re.compile(
    r"(?:\\+[ux][0-9a-f]{2,4}|&(?:amp;)*#x?[0-9a-f]+;|%(?:25)*[0-9a-f]{2}){8}", re.IGNORECASE
)
"""A text that escapes letters too, which nothing needs to."""
_ADDRESS = re.compile(
    r"[\w.+-]++(?:@|%(?:25)*40|\\+u0040|&(?:amp;)*#(?:64|x40);)[\w-]+(?:\.[\w-]+)+",
    re.IGNORECASE,
)
"""An e-mail address as it is, or as URLs, JSON and HTML may write it."""


def without_secrets(location: str) -> str:
    """Return a path or URL as a sentence can show it: without password, query and fragment."""
    head, separator, rest = location.partition("://")
    if not separator:
        return location
    shown = re.split(r"[?#]", rest, maxsplit=1)[0]
    return re.sub(r"(?<=://)[^/\s]*@", "", f"{head}://{shown}")


def secrets_of(location: str) -> list[str]:
    """Return what of a URL must not be shown: the password, and the values in its query."""
    # Not by `urlsplit`: a URL that is none, or one inside another, has a password too.
    head, separator, rest = location.rpartition("://")
    if not separator:
        return []
    address, _, fragment = rest.partition("#")
    address, _, query = address.partition("?")
    written = address.partition("/")[0].rpartition("@")[0].partition(":")[2]
    values = [value for _, value in parse_qsl(query)]
    found = [written, unquote(written), *values, query, fragment]
    return [*filter(None, found), *secrets_of(head)]


def excerpt(words: str, most: int) -> str:
    """Return how somebody else's words begin, in one line.

    No word is cut: what is left of a secret would not be known as one.

    Args:
        words: The words.
        most: Characters to return at most, but for the `…` at the end of what is shortened.
    """
    start = words[: 10 * most]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    if len(start) == len(words) and len(line) <= most:
        return line
    return f"{line[: most + 1].rpartition(' ')[0]}…"


def secrets_of_batches(config: Any) -> list[str]:  # noqa: ANN401
    """Return what must not be shown of the setting `batch_config`, whatever it looks like."""
    storage = config.get("storage") if isinstance(config, Mapping) else None
    if not isinstance(storage, Mapping):
        return []
    params = storage.get("params")
    values = params.values() if isinstance(params, Mapping) else ()
    found = [*secrets_of(str(storage.get("root"))), *values]
    return [value for value in found if isinstance(value, str)]


def trace(error: BaseException) -> str:
    """Return the traceback of an error and of its causes, without what their texts quote.

    Libraries quote values of rows there, which may be personal: those that are hashed too.
    """
    blocks: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(blocks) < MOST_CAUSES:
        text = _QUOTED.sub(BLOT, str(cause))[:LONGEST_REASON]
        frames = "".join(traceback.format_tb(cause.__traceback__))
        blocks.append(f"{frames}{type(cause).__name__}: {text}\n")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "Traceback (most recent call last):\n" + "caused\n".join(reversed(blocks))


_QUOTED = re.compile("['\"`].*", re.DOTALL)
"""A text from its first quotation mark on: quotes may hold quotes, or have no end."""


class Redaction:
    """The secrets of this process, and the logs that must not tell them.

    Args:
        secrets: Returns the secrets that are known by now: tokens change while the tap runs.
        hide_addresses: Whether e-mail addresses are blotted out too, which an API may name.
    """

    def __init__(
        self, secrets: Callable[[], Iterable[str]], *, hide_addresses: bool = False
    ) -> None:
        self._secrets = secrets
        self._hide_addresses = hide_addresses
        self._links: collections.deque[tuple[str, ...]] = collections.deque(maxlen=KEPT_LINKS)

    def keep_link(self, link: str) -> str:
        """Count the query of a signed link among the secrets, and return the link."""
        query = link.partition("?")[2].partition("#")[0]  # of a link that is none as well
        values = (value for _, value in parse_qsl(query))
        quoted = (pair.partition("=")[2] for pair in query.split("&"))
        signatures = {v for v in (*values, *quoted) if len(v) >= SHORTEST_SIGNATURE}
        self._links.append((query, *signatures))
        return link

    def keep(self, secrets: Iterable[str]) -> None:
        """Count texts among the secrets."""
        self._links.append(tuple(secrets))

    def redact(self, text: str) -> str:
        """Return a text without secrets, in whatever encoding they are in it."""
        for secret in sorted(set(self._secrets()), key=len, reverse=True):
            for needle in _needles(secret):
                text = needle.cut_out(text)
            for code in _in_base64(secret):
                text = text.replace(code, BLOT)
        for part in itertools.chain.from_iterable(self._links):
            for needle in _needles(part):
                text = needle.cut_out(text)
        return _ADDRESS.sub(BLOT, text) if self._hide_addresses else text

    def guard(self) -> None:
        """Stand behind every handler that logs now, and behind uncaught exceptions.

        Called after the SDK has set logging up, also from the file that `SINGER_SDK_LOG_CONFIG`
        names: whatever a handler's formatter makes of a record, tracebacks included, is redacted.
        What other libraries log at DEBUG is left out: those for buckets write whole requests, with
        a session's token of which this tap knows nothing (observed: botocore).
        """
        named = logging.Logger.manager.loggerDict.values()
        loggers = [logging.getLogger(), *(x for x in named if isinstance(x, logging.Logger))]
        for handler in {handler for logger in loggers for handler in logger.handlers}:
            handler.setFormatter(_Redacting(handler.formatter or logging.Formatter(), self.redact))
            handler.addFilter(_is_ours_or_matters)
        sys.excepthook = self._tell
        threading.excepthook = lambda args: self._tell(
            args.exc_type, args.exc_value, args.exc_traceback
        )

    def _tell(
        self,
        kind: type[BaseException],
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        found = error if error is not None else kind()
        sys.stderr.write(self.redact(trace(found.with_traceback(frames))))


class _Needle:
    """A secret, to be found as it is and as it is written in URLs, JSON, HTML and Python.

    Args:
        secret: One line of text.
    """

    def __init__(self, secret: str) -> None:
        # What no encoding changes is looked for first: that is fast, and mostly there is nothing.
        self._core = max(re.findall(r"[\w.~-]*", secret, re.ASCII), key=len)
        self._secret = secret

    def cut_out(self, text: str) -> str:
        if self._core in text:
            text = self._pattern.sub(BLOT, text)
        return self._thorough.sub(BLOT, text) if _ALL_ESCAPED.search(text) else text

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        return self._compiled(_encoded)

    @functools.cached_property
    def _thorough(self) -> re.Pattern[str]:
        return self._compiled(functools.partial(_encoded, always=True))

    def _compiled(self, encoded: Callable[[str], str]) -> re.Pattern[str]:
        secret = self._secret
        if secret.count("\\") > MOST_BACKSLASHES:
            ways = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe="")}
            return re.compile("|".join(re.escape(way) for way in sorted(ways, key=len)[::-1]))
        return re.compile("".join(map(encoded, secret)))


@functools.lru_cache(maxsize=4 * KEPT_LINKS)
def _needles(secret: str) -> tuple[_Needle, ...]:
    """Return what is looked for: a key in PEM form is written line by line, or in one line."""
    lines = (line.strip() for line in secret.replace("\\n", "\n").split("\n"))
    return tuple(
        _Needle(line) for line in lines if len(line) >= SHORTEST and not line.startswith("-----")
    )


def _encoded(letter: str, *, always: bool = False) -> str:
    """Return a pattern of a letter: itself, or as URLs, JSON, HTML or Python may write it.

    Each may be done to the other's result, so an escape may itself be escaped. No two of the ways
    match the same text: with two for each letter, a secret of forty letters that is cut off would
    be looked for in a million million ways.
    """
    plain = re.escape(letter)
    if not always and re.fullmatch(r"[\w.~-]", letter, re.ASCII):
        return plain
    code = ord(letter)
    octets = letter.encode(errors="surrogatepass")
    percent = "".join(f"%(?:25)*{byte:02x}" for byte in octets)
    escapes = "".join(rf"\\+x{byte:02x}" for byte in octets)
    name = html.entities.codepoint2name.get(code, "apos" if letter == "'" else "")
    numbers = rf"#0*{code}|#x0*{code:x}"
    ways = [
        rf"\\*{plain}",
        *([r"\+"] if letter == " " else []),
        rf"(?i:{percent})",
        rf"(?i:\\+(?:u{code:04x}|x{code:02x}))",
        *([rf"(?i:{escapes})"] if len(octets) > 1 else []),
        rf"(?i:&(?:amp;)*(?:{numbers}{'|' + name if name else ''});)",
    ]
    return f"(?:{'|'.join(ways)})"


@functools.lru_cache(maxsize=1000)
def _in_base64(secret: str) -> frozenset[str]:
    """Return what of a secret's Base64 does not depend on what stands before and after it."""
    text = secret.encode(errors="surrogatepass")
    ways: set[str] = set()
    for before in range(3):
        code = base64.b64encode(b"\0" * before + text).decode()
        # Without the characters that hold bits of its neighbours too.
        code = code[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]
        ways |= {code, code.translate(_URL_SAFE)}
    return frozenset(way for way in ways if len(text) >= SHORTEST)


_URL_SAFE = str.maketrans("+/", "-_")


def _is_ours_or_matters(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.INFO or record.name.startswith(OURS)


class _Redacting(logging.Formatter):
    """Lets another formatter do its work, and redacts it."""

    def __init__(self, inner: logging.Formatter, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._inner = inner
        self._redact = redact

    @override
    def format(self, record: logging.LogRecord) -> str:
        text = self._redact(self._inner.format(record))
        return "\n".join(map(_shortened, text.split("\n"))) if len(text) > LONGEST_LINE else text


def _shortened(line: str) -> str:
    """Return a line of the log, cut after it was redacted: a server's words may have megabytes."""
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[:LONGEST_LINE]}… ({len(line)} characters)"
