"""The rows of a dataset on their way into a destination: the loader's sink beside Singer's."""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tap_autodesk_exports.destinations import pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_autodesk_exports.destinations.destination import Batch, Store
    from tap_autodesk_exports.destinations.layout import Layout
    from tap_autodesk_exports.destinations.state import KeptState
    from tap_autodesk_exports.errors import TapError
    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.loading.loader import After, Record
    from tap_autodesk_exports.loading.report import StreamReport
    from tap_autodesk_exports.session import Session
    from tap_autodesk_exports.tables.table import Table
    from tap_autodesk_exports.tables.types import Type

logger = logging.getLogger("tap-autodesk-exports")


class TableSink:
    """Stages the rows of each load, and commits them with the state.

    What a reader must see at once is committed at once: the loads of a snapshot, so that rows that
    are gone leave when the new ones come, and all loads of a version that replaces the table.

    Args:
        selected: The dataset.
        store: Takes its rows.
        layout: The columns.
        state: The state.
        session: Of this run.
        report: Of this stream.
        at_end: Whether the destination wants all loads of a stream together.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        selected: Selected,
        store: Store,
        layout: Layout,
        state: KeptState,
        session: Session,
        report: StreamReport,
        *,
        at_end: bool,
    ) -> None:
        self._selected = selected
        self._store = store
        self._layout = layout
        self._state = state
        self._session = session
        self._report = report
        self._waits = at_end or selected.has_versions or bool(selected.bookmarks.replacing)
        self._open: list[Batch] = []
        self._complete: list[Batch] = []
        self._files = ExitStack()
        self._is_activated = False
        self._is_changed = False

    # What the loader calls

    def rows(self, table: Table, after: After) -> Iterable[Record]:  # noqa: ARG002
        """Stage the rows of a table."""
        self._discard(self._open)
        self._report.is_changed = True
        folder = self._files.enter_context(
            tempfile.TemporaryDirectory(dir=self._session.run.workspace.path)
        )
        files = pieces.of_table(table, self._layout.columns, Path(folder))
        self._session.check_stopped()
        with self._session.report.stopwatch.write():
            self._open.append(self._store.stage(files))
        self._report.rows += table.count()
        return ()

    def begin_version(self, version: int) -> None:
        """Nothing: rows of a version wait until all of it is there."""

    def activate_version(self) -> None:
        """Take note that all rows that there are were staged."""
        self._is_activated = True

    def constants(self) -> Mapping[str, tuple[Type, str | None]]:
        """Return none: the rows are the dataset's own."""
        return {}

    def state(self) -> None:
        """Commit what was loaded, unless more must come with it."""
        self._complete += self._open
        self._open = []
        self._is_changed = True
        if not self._waits:
            self._commit()

    def fail(self, error: TapError) -> None:
        """Take note that a load failed or is pending; the others go on."""
        self._session.fail(self._selected.name, error)

    # The end of the stream

    def finish(self) -> None:
        """Commit what has waited for the end of the stream.

        Raises:
            DestinationError: It was refused; nothing of it is kept.
        """
        try:
            with self._state.lock:
                self._discard(self._open)
                if self._selected.bookmarks.replacing and not self._is_activated:
                    # Rows with new keys would be there beside the same ones with old keys.
                    logger.warning(
                        "%s: not all of it could be loaded, so its table is not replaced and stays "
                        "as it was: run again.",
                        self._selected.name,
                    )
                    self._state.revert(self._selected.name)
                    self._discard(self._complete)
                elif self._is_changed:
                    self._commit()
                else:
                    # What a load has noted before it failed.
                    self._state.commit_alone(self._selected.name)
        finally:
            self._files.close()

    def _commit(self) -> None:
        try:
            with self._session.report.stopwatch.write():
                self._store.commit(self._complete, self._state.proposed(), gone=self._is_activated)
        except BaseException:
            self._state.revert(self._selected.name)
            self._discard(self._complete)
            raise
        finally:
            self._complete = []
            self._is_changed = False
        self._state.accept()
        if not self._waits:
            self._files.pop_all().close()

    def _discard(self, batches: list[Batch]) -> None:
        """Forget staged rows, such as those of a load that did not come to its end."""
        while batches:
            self._store.discard(batches.pop())
