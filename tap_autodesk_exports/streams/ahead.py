"""The file of the next load, fetched and unpacked while the rows of the present one go out."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import NoSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_autodesk_exports.workspace import Workspace

    Fetch = Callable[[Path], Path | None]
    """Puts a file into a folder and returns its path; None where there is none."""

AT_THE_END = 5.0
"""Seconds to wait for a file that nobody will load."""


class Ahead:
    """One file on its way, besides the one that is being loaded: the disk holds two at the most.

    Args:
        workspace: Where the files go.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._coming: _Coming | None = None

    def begin(self, key: str, fetch: Fetch) -> None:
        """Begin to fetch the file of the next load, unless it is on its way."""
        if self._coming and self._coming.key == key:
            return
        self._give_up()
        self._coming = _Coming(key, self._workspace.path)
        # A daemon, so that a server that has fallen silent does not keep the process alive.
        threading.Thread(
            target=self._coming.bring, args=(fetch,), name=f"ahead {key}", daemon=True
        ).start()

    @contextlib.contextmanager
    def file(self, key: str, fetch: Fetch) -> Iterator[Path | None]:
        """Give the file of a load, and remove it at the end.

        Raises:
            TapError: It could not be fetched whole.
        """
        self.settle()
        coming = self._coming
        if coming is None or coming.key != key or isinstance(coming.path.exception(), NoSpace):
            # Another one is on its way, or there was no room for two, and there is now.
            self._give_up()
            coming = _Coming(key, self._workspace.path)
            coming.bring(fetch)
        self._coming = None
        try:
            yield coming.path.result()
        finally:
            coming.remove()

    def settle(self) -> None:
        """Wait for the file that is on its way, so that nothing but the caller touches the disk."""
        if self._coming:
            wait([self._coming.path])

    def close(self) -> None:
        """Wait a little for a file that is on its way and will not be loaded."""
        if self._coming:
            wait([self._coming.path], AT_THE_END)

    def _give_up(self) -> None:
        self.settle()
        if self._coming:
            self._coming.remove()
            self._coming = None


class _Coming:
    """A file on its way into a folder of its own."""

    def __init__(self, key: str, parent: Path) -> None:
        self.key = key
        self.path: Future[Path | None] = Future()
        self._folder = Path(tempfile.mkdtemp(prefix="file-", dir=parent))

    def bring(self, fetch: Fetch) -> None:
        try:
            self.path.set_result(fetch(self._folder))
        except BaseException as error:  # noqa: BLE001 - raised where the file is asked for
            self.path.set_exception(error)

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
