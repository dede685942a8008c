"""What a check found, and how it is shown."""

from __future__ import annotations

import dataclasses
import textwrap
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 100


class Outcome(StrEnum):
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
        outcome: What it means for a run.
        found: What was seen.
        cause: The likely cause of a failure.
        remedy: What to do about it.
    """

    api: str
    step: str
    outcome: Outcome
    found: str
    cause: str = ""
    remedy: str = ""


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return `{"works": …, "findings": […]}`."""
    return {
        "works": all(finding.outcome is not Outcome.FAILS for finding in findings),
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }


def as_table(findings: Sequence[Finding]) -> str:
    """Return one line for each step, with cause and remedy below what fails."""
    heads = [(finding.api, finding.step, str(finding.outcome)) for finding in findings]
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    lines = []
    for finding, head in zip(findings, heads, strict=True):
        start = "  ".join(text.ljust(width) for text, width in zip(head, widths, strict=True))
        lines += _wrapped(finding.found, start + "  ")
        lines += _wrapped(finding.cause, "    why: ") if finding.cause else []
        lines += _wrapped(finding.remedy, "    do:  ") if finding.remedy else []
    return "\n".join(lines)


def _wrapped(text: str, start: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
        break_long_words=False,
    )
