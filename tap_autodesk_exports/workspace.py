"""The folder for temporary files of a run; what a killed run left is removed by the next."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "tap-autodesk-exports-"


class Workspace:
    """A temporary folder whose name tells whose it is.

    Attributes:
        path: The folder, private to this user.
    """

    def __init__(self) -> None:
        _remove_orphans(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))

    def folder(self) -> tempfile.TemporaryDirectory[str]:
        """Make a folder of its own inside, removed with its context."""
        return tempfile.TemporaryDirectory(dir=self.path)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_orphans(parent: Path) -> None:
    """Remove folders of this tap whose process is gone."""
    for folder in parent.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
