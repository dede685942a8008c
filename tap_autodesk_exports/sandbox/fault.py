"""One fault: where it strikes, when, and with what effect."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.clock import instant

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

HALF = -1
"""`after_bytes` of a fault that strikes in the middle of the body, wherever that is."""


class Effect(StrEnum):
    """What a fault does."""

    STATUS = "status"
    """Answers `status` with `headers` and `body`; the request is not executed."""
    RESET = "reset"
    """Resets the connection; the request is not executed."""
    LOST = "lost"
    """Executes the request and resets the connection instead of answering."""
    REFUSED = "refused"
    """Resets the connection and refuses every other one for `seconds`."""
    STALL = "stall"
    """Waits for `seconds`, then executes the request; a GET only if its reader is still there."""
    STALL_BODY = "stall_body"
    """Sends the body up to `after_bytes`, waits for `seconds`, and sends the rest."""
    TRUNCATE = "truncate"
    """Ends the connection after `after_bytes`, with the length of the whole body announced."""
    WRONG_LENGTH = "wrong_length"
    """Sends the body up to `after_bytes` and announces that as its whole length."""
    CORRUPT = "corrupt"
    """Sends the body with another byte at `after_bytes`."""
    HTML = "html"
    """Answers 200 with an HTML error page instead of the file."""
    XML = "xml"
    """Answers 200 with an XML error document instead of the file."""
    JSON = "json"
    """Answers 200 with a JSON error document instead of the file."""
    ZIP = "zip"
    """Answers with a ZIP of the file instead of the file."""
    EXPIRED_LINK = "expired_link"
    """Answers as the storage does when a link has expired."""
    QUOTA = "quota"
    """Answers 429 as a used-up quota does, without `Retry-After` unless `headers` has one."""
    REDIRECT = "redirect"
    """Answers `status` (302 unless it is another 3xx) with `location` and the request's path as its
    target; without a `location`, the sandbox's stranger. The request is not executed."""
    FLOOD = "flood"
    """Answers `status` with a body of `size` bytes, or without an end, and no length."""
    DRIP = "drip"
    """Sends the answer in pieces of `size` bytes (1 by default), `seconds` apart."""
    HEADERS = "headers"
    """Sends the answer with `headers` instead of its own; a header that is null is taken out."""
    EDIT = "edit"
    """Sends the answer with its JSON edited: `edits`, `as_text`, `removed` (see `edits.py`)."""
    NO_LENGTH = "no_length"
    """Sends the whole answer without its length."""
    NO_LENGTH_CUT = "no_length_cut"
    """Sends the body up to `after_bytes` without a length, and ends it as if it were whole."""
    GZIP = "gzip"
    """Sends the whole answer with `Content-Encoding: gzip`, whatever range was requested."""
    GZIP_CUT = "gzip_cut"
    """The same, but the compressed body ends in the middle; its length says so."""
    RANGE_START = "range_start"
    """Answers 206 with the file from its beginning, whatever range was requested. This fault, and
    the next, strike requests for a range only."""
    RANGE_TOTAL = "range_total"
    """Answers 206 with another total size than the file has."""
    ENDS_FAILED = "ends_failed"
    """The export ends in ERROR, Error, failed."""
    ENDS_CANCELLED = "ends_cancelled"
    """The job ends as cancelled (ERROR, Error with the other APIs)."""
    ENDS_EXPIRED = "ends_expired"
    """The export ends as EXPIRED (Error, failed with the other APIs)."""
    NEVER_STARTS = "never_starts"
    """The export stays SUBMITTED, Requested, queued."""
    UNKNOWN_STATUS = "unknown_status"
    """The export gets a status that is not documented."""
    NO_JOB = "no_job"
    """The request never spawns a job (with the other APIs, the export waits for ever)."""
    UNREADABLE = "unreadable"
    """Every request for the export's ID answers `status`; lists show it still."""
    DEAD_LINKS = "dead_links"
    """Every link to the export's files answers `status`, however fresh it is."""
    FILES_GONE = "files_gone"
    """The export ends successfully, but its files are gone: its data listing and links are 404."""
    NO_FILES = "no_files"
    """The export ends successfully with an empty list of downloads or files, or without a link."""
    NULL_FILES = "null_files"
    """The export ends successfully with null in place of its downloads, files or link."""
    WORDS = "words"
    """The export's files say `body` (or that there are no data) in place of rows."""


RANGED = frozenset({Effect.RANGE_START, Effect.RANGE_TOTAL})
"""Effects on the answer to a request for a range."""


@dataclasses.dataclass
class Fault:
    """A fault; a field that is None matches everything, text is matched as a shell pattern.

    Attributes:
        effect: What happens.
        api: `insights`, `tokenflex`, `data_connector` or `authentication`; a file belongs to
            the API that made it.
        endpoint: Name of the endpoint, such as `submit`, `export`, `job`, `link`, `file`, `_token`.
        method: HTTP method.
        path: Path of the request.
        occasions: Which of the matching requests it strikes, counted from 1; a request that an
            earlier fault strikes is not counted.
        times: How often it strikes at most; None: always.
        since: It strikes from this moment of the sandbox's clock on, ISO 8601.
        until: It strikes before this moment.
        ranged: Whether it strikes requests for a range only (true), or all others only (false).
        status: Of the effects `status`, `redirect`, `flood`, `unreadable` and `dead_links`.
        headers: Further headers of an answer; those of `headers` may be null.
        body: Body of the effects `status` and `flood`, text of `words`.
        content_type: Of that body.
        location: Base URL of `redirect`.
        edits: Of `edit`: path -> what stands there instead.
        as_text: Of `edit`: paths of what becomes text.
        removed: Of `edit`: paths of what is taken out.
        seconds: How long `stall`, `stall_body` and `refused` last; the pause of `drip`.
        after_bytes: Where `truncate`, `wrong_length`, `corrupt`, `no_length_cut`, `gzip_cut` and
            `stall_body` strike; default: half.
        size: Bytes of `flood`, and of a piece of `drip`.
        struck: How often it has struck.
    """

    effect: Effect
    api: str | None = None
    endpoint: str | None = None
    method: str | None = None
    path: str | None = None
    occasions: tuple[int, ...] | None = None
    times: int | None = 1
    since: str | None = None
    until: str | None = None
    ranged: bool | None = None
    status: int = 500
    headers: dict[str, str | None] = dataclasses.field(default_factory=dict)
    body: str = ""
    content_type: str = "text/plain"
    location: str = ""
    edits: dict[str, Any] = dataclasses.field(default_factory=dict)
    as_text: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    seconds: float = 1.0
    after_bytes: int = HALF
    size: int = 0
    struck: int = 0
    seen: int = dataclasses.field(default=0, repr=False)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Fault:
        """Read a fault from an entry of a scenario.

        Raises:
            ValueError: It has an unknown effect or field.
        """
        fields = {field.name for field in dataclasses.fields(cls)} - {"struck", "seen"}
        if unknown := set(entry) - fields:
            known = ", ".join(sorted(fields))
            msg = f"A fault has no field {', '.join(sorted(unknown))}; its fields are {known}."
            raise ValueError(msg)
        given = dict(entry)
        if "occasions" in given and given["occasions"] is not None:
            given["occasions"] = tuple(given["occasions"])
            given.setdefault("times", None)
        for moment in ("since", "until"):
            if given.get(moment) is not None:
                instant(given[moment])
        effect = Effect(given.get("effect", ""))
        if effect in RANGED:
            given["ranged"] = True
        return cls(**{**given, "effect": effect})

    def as_json(self) -> dict[str, Any]:
        """Return it with the count of its strikes."""
        return dataclasses.asdict(self)

    def matches(self, request: Mapping[str, str], now: dt.datetime) -> bool:
        """Whether a request with these `api`, `endpoint`, `method`, `path`, `range` is meant."""
        if self.since is not None and now < instant(self.since):
            return False
        if self.until is not None and now >= instant(self.until):
            return False
        if self.ranged is not None and self.ranged is not bool(request.get("range")):
            return False
        return all(
            pattern is None or fnmatchcase(request[name], pattern)
            for name in ("api", "endpoint", "method", "path")
            if (pattern := getattr(self, name)) is not None and name in request
        )

    def strikes(self) -> bool:
        """Count a matching request, and say whether the fault strikes it."""
        self.seen += 1
        due = self.occasions is None or self.seen in self.occasions
        if not due or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True
