"""The file of the next load, fetched and unpacked while the rows of the present one are sent."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING

from tap_autodesk_exports import threads
from tap_autodesk_exports.errors import NoSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_autodesk_exports.workspace import Workspace

    Fetch = Callable[[Path], Path | None]
    """Puts a file into a folder and returns its path; None where there is none."""

AT_THE_END = 5.0
"""Seconds to wait for a file that nobody will load."""


class Prefetcher:
    """Fetches one file while another one is loaded, so that the disk holds two at most.

    Args:
        workspace: Where the files go.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._next: _Fetch | None = None

    def start(self, key: str, fetch: Fetch) -> None:
        """Start to fetch the file of the next load, unless it is being fetched already."""
        if self._next and self._next.key == key:
            return
        self._discard()
        coming = _Fetch(key, self._workspace.path)
        try:
            threads.run(coming.run, fetch, name=f"prefetch {key}")
        except threads.NoThread:
            coming.remove()  # it is fetched when it is needed
        else:
            self._next = coming

    @contextlib.contextmanager
    def file(self, key: str, fetch: Fetch) -> Iterator[Path | None]:
        """Give the file of a load, and remove it at the end.

        Raises:
            TapError: It could not be fetched whole.
        """
        self.wait()
        fetched = self._next
        if fetched is None or fetched.key != key or isinstance(fetched.path.exception(), NoSpace):
            # Another one is being fetched, or there was no room for two, and there is now.
            self._discard()
            fetched = _Fetch(key, self._workspace.path)
            fetched.run(fetch)
        self._next = None
        try:
            yield fetched.path.result()
        finally:
            fetched.remove()

    def wait(self) -> None:
        """Wait for the file that is being fetched, so that only the caller touches the disk."""
        if self._next:
            futures.wait([self._next.path])

    def close(self) -> None:
        """Wait a little for a file that is being fetched and will not be loaded."""
        if self._next:
            futures.wait([self._next.path], AT_THE_END)

    def _discard(self) -> None:
        self.wait()
        if self._next:
            self._next.remove()
            self._next = None


class _Fetch:
    """A file that is being fetched, in a separate folder."""

    def __init__(self, key: str, parent: Path) -> None:
        self.key = key
        self.path: futures.Future[Path | None] = futures.Future()
        self._folder = Path(tempfile.mkdtemp(prefix="file-", dir=parent))

    def run(self, fetch: Fetch) -> None:
        try:
            self.path.set_result(fetch(self._folder))
        except BaseException as error:  # noqa: BLE001 - raised where the file is asked for
            self.path.set_exception(error)

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
