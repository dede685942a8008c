"""The files of one Data Connector extract, shared by all tables that are loaded from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.files.archive import Archive
from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_autodesk_exports.exports.export import ExportFile, FinishedExport
    from tap_autodesk_exports.run import Run

ZIP = "autodesk_data_extract.zip"
MOST_SINGLE_FILES = 20
"""Up to so many tables are fetched one by one: each costs one of the 60 requests a minute, the ZIP
costs one for all, but holds every table of the extract."""


class Extract:
    """The files of a finished export, as long as a table needs them.

    Args:
        run: The run that it belongs to.
        finished: The export.
        tables: How many tables will be loaded from it.
    """

    def __init__(self, run: Run, finished: FinishedExport, tables: int) -> None:
        self._run = run
        self._files: Mapping[str, ExportFile] = {file.name: file for file in finished.files}
        self._folder = run.workspace.folder()
        self._tables = tables
        self._finished = finished
        self._archive: Archive | None = None
        self._as_zip = tables > MOST_SINGLE_FILES and ZIP in self._files
        self._damaged: set[str] = set()
        self._failures: dict[str, TapError] = {}

    def table(self, name: str, folder: Path) -> Path | None:
        """Put one table's CSV file into `folder`; None where the extract has none.

        Raises:
            TapError: It could not be fetched whole.
        """
        file = f"{name}.csv"
        if self._as_zip and file not in self._damaged:
            archive = self._unpacked()
            if file not in {member.name for member in archive.names()}:
                return None
            return archive.extract(file, folder)
        if file not in self._files:
            return None
        try:
            return self._run.fetch(self._finished, self._files[file], folder)
        except TapError as error:
            # What fails for every table of an extract is one failure, told once.
            raise self._failures.setdefault(str(error).replace(file, ""), error) from None

    def damaged(self, name: str) -> None:
        """Take a table's own file from now on, where there is one, and not the ZIP."""
        file = f"{name}.csv"
        if file in self._files:
            self._damaged.add(file)
        else:
            self._close_archive()

    def done(self) -> None:
        """Count one table as loaded; with the last one, remove what was fetched."""
        self._tables -= 1
        if self._tables <= 0:
            self._close_archive()
            self._folder.cleanup()

    def _close_archive(self) -> None:
        if self._archive:
            self._archive.close()
            self._archive = None

    def _unpacked(self) -> Archive:
        if self._archive is None:
            path = self._run.fetch(self._finished, self._files[ZIP], Path(self._folder.name))
            try:
                self._archive = Archive(path)
            except FileError:
                self._damaged.update(self._files)
                raise
        return self._archive
