"""The last line of defence: what is secret is blotted out of every line that is logged.

Nothing of this tap puts a secret into a message. A library's message, a server's answer or the
text of an exception that nobody expected might.
"""

from __future__ import annotations

import collections
import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

BLOT = "***"
SHORTEST = 8
"""Characters; to blot out less than that would make other words unreadable and hide nothing."""
SHORTEST_SIGNATURE = 20
"""Characters of a value in a link's query that may be its signature, and is no date or number."""
KEPT_LINKS = 1000


class Redaction:
    """The secrets of this process, and the logs that must not tell them.

    Args:
        secrets: Returns the secrets that are known by now: tokens change while the tap runs.
    """

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        self._secrets = secrets
        self._links: collections.deque[tuple[str, ...]] = collections.deque(maxlen=KEPT_LINKS)

    def keep_link(self, link: str) -> str:
        """Count the query of a signed link among the secrets, and return the link."""
        query = urlsplit(link).query
        values = (value for _, value in parse_qsl(query))
        quoted = (pair.partition("=")[2] for pair in query.split("&"))
        signatures = {v for v in (*values, *quoted) if len(v) >= SHORTEST_SIGNATURE}
        self._links.append((query, *signatures))
        return link

    def redact(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in sorted(set(self._known()), key=len, reverse=True):
            text = text.replace(secret, BLOT)
        return text

    def _known(self) -> Iterator[str]:
        for secret in [*self._secrets(), *(part for link in self._links for part in link)]:
            # A key in PEM form is told line by line, or with its line breaks escaped.
            for line in secret.replace("\\n", "\n").split("\n"):
                if len(line) >= SHORTEST and not line.startswith("-----"):
                    yield line.strip()

    def guard(self) -> None:
        """Stand behind every handler that logs now, and behind uncaught exceptions.

        Called after the SDK has set logging up, also from the file that `SINGER_SDK_LOG_CONFIG`
        names: whatever a handler's formatter makes of a record, tracebacks included, is redacted.
        """
        named = logging.Logger.manager.loggerDict.values()
        loggers = [logging.getLogger(), *(x for x in named if isinstance(x, logging.Logger))]
        for handler in {handler for logger in loggers for handler in logger.handlers}:
            handler.setFormatter(_Redacting(handler.formatter or logging.Formatter(), self.redact))
        sys.excepthook = self._tell
        threading.excepthook = lambda args: self._tell(
            args.exc_type, args.exc_value, args.exc_traceback
        )

    def _tell(
        self,
        kind: type[BaseException],
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.stderr.write(self.redact("".join(traceback.format_exception(kind, error, trace))))


class _Redacting(logging.Formatter):
    """Lets another formatter do its work, and redacts it."""

    def __init__(self, inner: logging.Formatter, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._inner = inner
        self._redact = redact

    @override
    def format(self, record: logging.LogRecord) -> str:
        return self._redact(self._inner.format(record))
