"""What a check found."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.http import ApiError

if TYPE_CHECKING:
    from tap_autodesk_exports.apis import Api
    from tap_autodesk_exports.errors import TapError

FORBIDDEN = 403
NOT_FOUND = 404


class Verdict(StrEnum):
    """What a finding means for a run."""

    WORKS = "works"
    NOTE = "note"
    FAILS = "FAILS"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One step and what came of it.

    Attributes:
        api: The API, or `settings`.
        step: What was tried.
        verdict: What it means for a run.
        found: What was seen.
        cause: The likely cause of a failure.
        remedy: What to do about it.
    """

    api: str
    step: str
    verdict: Verdict
    found: str
    cause: str = ""
    remedy: str = ""


def failure(api: Api, step: str, error: TapError, cause: str = "", remedy: str = "") -> Finding:
    """Return what failed; the cause is only given for a refusal, not for an outage."""
    refused = isinstance(error, ApiError) and error.status in {FORBIDDEN, NOT_FOUND}
    if not refused:
        return Finding(api, step, Verdict.FAILS, str(error))
    said = str(error).partition(" Usual causes:")[0]
    return Finding(api, step, Verdict.FAILS, said, cause, remedy)
