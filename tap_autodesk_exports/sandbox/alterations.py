"""What faults do to an answer that was made: its bytes, its headers, its JSON."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import zipfile
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.edits import Edits
from tap_autodesk_exports.sandbox.fault import HALF, Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_autodesk_exports.sandbox.fault import Fault


@dataclasses.dataclass
class Answer:
    """An answer that a fault alters."""

    status: str
    headers: dict[str, str]
    body: bytes

    def cut(self, fault: Fault) -> int:
        """Return where in the body a fault strikes."""
        if fault.after_bytes == HALF:
            return len(self.body) // 2
        return min(fault.after_bytes, len(self.body))

    def halves(self, fault: Fault) -> tuple[bytes, bytes]:
        """Return the body up to there, and from there on."""
        at = self.cut(fault)
        return self.body[:at], self.body[at:]

    def pieces(self, fault: Fault) -> list[bytes]:
        """Return the body as `drip` or `stall_body` sends it."""
        if fault.effect is not Effect.DRIP:
            return list(self.halves(fault))
        size = fault.size or 1
        return [self.body[at : at + size] for at in range(0, len(self.body), size)]

    def replace(self, body: bytes) -> None:
        """Set the body, and its length with it."""
        self.body = body
        self.set({"Content-Length": str(len(body))})

    def set(self, headers: Mapping[str, str | None]) -> None:
        """Set headers, whatever the case of their names; None takes one out."""
        self.headers = merged(self.headers, headers)


def merged(headers: Mapping[str, str], others: Mapping[str, str | None]) -> dict[str, str]:
    """Return headers with others set, whatever the case of their names; None takes one out."""
    names = {name.lower() for name in others}
    kept = {name: value for name, value in headers.items() if name.lower() not in names}
    return kept | {name: value for name, value in others.items() if value is not None}


def _truncate(answer: Answer, fault: Fault) -> None:
    answer.body = answer.halves(fault)[0]


def _wrong_length(answer: Answer, fault: Fault) -> None:
    answer.replace(answer.halves(fault)[0])


def _corrupt(answer: Answer, fault: Fault) -> None:
    at = answer.cut(fault)
    answer.replace(answer.body[:at] + bytes([answer.body[at] ^ 0xFF]) + answer.body[at + 1 :])


def _zip(answer: Answer, _: Fault) -> None:
    answer.replace(_zipped(answer.body))


def _keep(_: Answer, __: Fault) -> None:
    """Change nothing: the headers of the fault are added later, for every effect."""


def _edit(answer: Answer, fault: Fault) -> None:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return
    edits = Edits(fault.edits, fault.as_text, fault.removed)
    answer.replace(json.dumps(edits.of(document)).encode())


def _no_length(answer: Answer, _: Fault) -> None:
    answer.set({"Content-Length": None})


def _no_length_cut(answer: Answer, fault: Fault) -> None:
    _truncate(answer, fault)
    _no_length(answer, fault)


def _gzip(answer: Answer, _: Fault) -> None:
    answer.replace(gzip.compress(answer.body))
    answer.set({"Content-Encoding": "gzip", "Accept-Ranges": None})


def _gzip_cut(answer: Answer, fault: Fault) -> None:
    _gzip(answer, fault)
    answer.replace(answer.halves(fault)[0])


def _range_total(answer: Answer, _: Fault) -> None:
    shown = answer.headers.get("Content-Range", "bytes 0-0/1")
    place, total = shown.split("/")
    answer.set({"Content-Range": f"{place}/{int(total) + 1}"})


ALTERATIONS: dict[Effect, Callable[[Answer, Fault], None]] = {
    Effect.TRUNCATE: _truncate,
    Effect.WRONG_LENGTH: _wrong_length,
    Effect.CORRUPT: _corrupt,
    Effect.ZIP: _zip,
    Effect.HEADERS: _keep,
    Effect.STALL_BODY: _keep,
    Effect.DRIP: _keep,
    Effect.EDIT: _edit,
    Effect.NO_LENGTH: _no_length,
    Effect.NO_LENGTH_CUT: _no_length_cut,
    Effect.GZIP: _gzip,
    Effect.GZIP_CUT: _gzip_cut,
    Effect.RANGE_START: _keep,
    Effect.RANGE_TOTAL: _range_total,
}
PAUSES = frozenset({Effect.STALL_BODY, Effect.DRIP})
"""Effects that send the body in pieces."""
ARRIVES = frozenset({Effect.HEADERS, Effect.NO_LENGTH, Effect.GZIP})
"""Alterations after which a reader has the file's own bytes: it counts as served."""


def _zipped(body: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file.csv", body)
    return target.getvalue()
