"""The folder for temporary files of a run; what a killed run left is removed by the next."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import NoSpace, TapError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "tap-autodesk-exports-"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Workspace:
    """A temporary folder of this process, told by a lock on it: the lock ends with the process.

    A process ID would not tell: another container with the same temporary folder has its own.

    Attributes:
        path: The folder, private to this user.

    Raises:
        TapError: No folder can be made.
    """

    def __init__(self) -> None:
        try:
            parent = Path(tempfile.gettempdir())
            _remove_orphans(parent)
            # Locked before it has a name by which another process takes it for an orphan.
            made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
            self._lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.path = made.rename(parent / made.name.removeprefix("."))
        except OSError as error:
            msg = (
                f"No temporary folder can be made ({error.strerror}): name a writable one with "
                "free space in the environment variable TMPDIR."
            )
            raise TapError(msg) from None

    def folder(self) -> tempfile.TemporaryDirectory[str]:
        """Make a folder of its own inside, removed with its context."""
        return tempfile.TemporaryDirectory(dir=self.path)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


@contextlib.contextmanager
def full_disk_told() -> Iterator[None]:
    """Turn a full disk into a sentence.

    Raises:
        NoSpace: No space is left for temporary files.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace(no_space()) from None
        raise


def no_space() -> str:
    """Return the sentence for a disk without space."""
    return (
        f"No space is left in {tempfile.gettempdir()} for temporary files: free some, or name a "
        "roomier folder in the environment variable TMPDIR. The export stays pending: run again."
    )


def _remove_orphans(parent: Path) -> None:
    """Remove folders of this tap and this user whose process is gone."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if os.fstat(lock).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use
        finally:
            os.close(lock)
