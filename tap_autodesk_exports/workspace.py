"""The folder for temporary files of a run; what a killed run left is removed by the next.

All are in one folder that belongs to this tap and user. Only what holds the mark of a workspace is
ever removed: whatever else somebody puts there, or beside it, is not ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from tap_autodesk_exports.errors import NoSpace, TapError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "tap-autodesk-exports"
MARK_NAME = ".workspace-of-tap-autodesk-exports"
MARK = b"tap-autodesk-exports removes this folder with all that is in it once its lock is free.\n"
LOCK_NAME = ".lock"
ATTEMPTS = 20
"""Another run that ends removes the parent folder when it is empty, perhaps just now."""
_FULL = frozenset(
    number
    for name in ("ENOSPC", "EDQUOT", "EFBIG")
    if (number := getattr(errno, name, None)) is not None
)


class Workspace:
    """A temporary folder of this process, known by a lock in it: the lock ends with the process.

    A process ID would not do: another container with the same temporary folder has its own.

    Attributes:
        path: The folder, private to this user.

    Raises:
        TapError: No folder can be made.
    """

    def __init__(self) -> None:
        try:
            self.path = _made()
            _remove_orphans(self.path.parent)
            self._lock = _lock_of(self.path)
            self._lock.acquire()
            # Marked once it is locked: until then no other process takes it for an orphan.
            (self.path / MARK_NAME).write_bytes(MARK)
        except OSError as error:
            msg = (
                f"No temporary folder can be made ({error.strerror}): name a writable one with "
                "free space in the environment variable TMPDIR."
            )
            raise TapError(msg) from None

    def folder(self) -> tempfile.TemporaryDirectory[str]:
        """Make a new folder inside, removed with its context."""
        return tempfile.TemporaryDirectory(dir=self.path)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        _remove(self.path, self._lock)
        # The last one closes the door.
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def own_name() -> str:
    """Return the name of this tap and user among the temporary files of all users."""
    return f"{NAME}.{os.getuid()}" if hasattr(os, "getuid") else NAME


def own_folder() -> Path:
    """Return the folder of this tap and user among the temporary files; make it where it is not.

    Another user may have taken the name. Then a new folder takes its place, and what killed runs
    leave in it is not found again.
    """
    folder = Path(tempfile.gettempdir()) / own_name()
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    return folder if _is_ours(folder) else Path(tempfile.mkdtemp(prefix=f"{NAME}."))


def _is_ours(folder: Path) -> bool:
    """Return whether this is a folder, no link, that no other user can write into."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    # Windows gives each user a folder for temporary files, and has neither owners nor modes here.
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)


def _made() -> Path:
    """Make a new folder."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            return Path(tempfile.mkdtemp(prefix="run-", dir=own_folder()))
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _lock_of(folder: Path) -> filelock.BaseFileLock:
    # Not by thread: the thread that waits for signals may be the one that removes the folder.
    return filelock.FileLock(folder / LOCK_NAME, timeout=0, mode=0o600, thread_local=False)


def _remove_orphans(parent: Path) -> None:
    """Remove workspaces whose process is gone."""
    for folder in parent.glob("run-*"):
        with contextlib.suppress(OSError, filelock.Timeout):
            if _is_ours(folder) and (folder / MARK_NAME).read_bytes() == MARK:
                lock = _lock_of(folder)
                lock.acquire()
                _remove(folder, lock)


def _remove(folder: Path, lock: filelock.BaseFileLock) -> None:
    """Remove a workspace, its mark last, so that what is interrupted is gone on with."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name in {MARK_NAME, LOCK_NAME}:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                entry.unlink()
    if os.name == "nt":
        lock.release()  # Windows removes no file that is open
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()


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
