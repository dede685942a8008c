"""Findings as a table or JSON."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.findings import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 100


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return `{"works": …, "findings": […]}`."""
    return {
        "works": all(finding.verdict is not Verdict.FAILS for finding in findings),
        "findings": [_entry(finding) for finding in findings],
    }


def as_table(findings: Sequence[Finding]) -> str:
    """Return one line for each step, with cause and remedy below what fails."""
    heads = [(finding.api, finding.step, str(finding.verdict)) for finding in findings]
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


def _entry(finding: Finding) -> dict[str, Any]:
    entry = dataclasses.asdict(finding)
    return {("outcome" if name == "verdict" else name): value for name, value in entry.items()}
