"""Why a DuckDB file cannot be opened, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = slice(8, 12)
"""Where a DuckDB file has the word DUCK, after its checksum."""
_REASONS = {
    "set lock on": "another program has it open. Close that program, and try again.",
    "version number": "it was written by a newer release of DuckDB. Update this tool's DuckDB.",
    "No space left": "the disk is full. Make room, or name another file.",
    "encrypt": "it is encrypted. Name one that is not.",
    "WAL": "its write-ahead log is damaged. Restore both, or name another file.",
}
"""A word of DuckDB's own message -> what is the matter."""


def why_unopened(path: Path, error: Exception) -> str:
    """Return why DuckDB did not open a file, and what to do.

    Args:
        path: The file.
        error: What DuckDB raised.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(_MAGIC.stop)
    except OSError as refused:
        return f"it cannot be read ({refused.strerror}). Name another file."
    if begin and begin[_MAGIC] != b"DUCK":
        return "it is no DuckDB file. Name another file."
    words = str(error)
    found = next((reason for word, reason in _REASONS.items() if word in words), None)
    return found or "it is empty, cut or damaged. Restore it, or name another file."
