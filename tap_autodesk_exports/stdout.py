"""Standard output: that it cannot be written is a sentence, also when it shows at the very end."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Iterator


class OutputFailed(TapError):
    """Standard output cannot be written."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Standard output cannot be written ({reason}): have it read by a target, or write it "
            "into a file on a disk with room."
        )


@contextmanager
def writable() -> Iterator[None]:
    """Check that standard output can be written, and write at the end what is still buffered.

    Otherwise Python would find out as the process ends, and print a traceback.

    Raises:
        OutputFailed: It is closed, or could not be written.
    """
    if sys.stderr is None:  # closed before the process started: no other file gets its number
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        reason = "it is closed"
        raise OutputFailed(reason)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        # Those of files have a name, those of connections are of other types.
        if type(error) not in {OSError, BrokenPipeError} or error.filename:
            raise
        discard()
        raise OutputFailed(error.strerror or str(error)) from None


def discard() -> None:
    """Write nothing more: what is still buffered would be a second error as the process ends."""
    with suppress(OSError):  # not in a test that replaces standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
