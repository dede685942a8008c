"""Benches for the fault suite: an API in front of a sandbox of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.cases import CASES, Bench, Case, Clean
from support.tap_process import TapServer

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `whole` all cells of a fault but one, of each API in turn; kills are never left out.

    `make test` takes what is not marked, `make faults` takes all.
    """
    turns: dict[str, list[pytest.Item]] = {}
    for item in items:
        params = getattr(item, "callspec", None)
        api = params and (params.params.get("api") or params.params.get("case"))
        if api and item.path.parent == HERE and item.path.name != "test_kills.py":
            turns.setdefault(item.nodeid.replace(str(api), ""), []).append(item)
    for turn, cells in enumerate(turns.values()):
        for number, item in enumerate(cells):
            if number != turn % len(cells):
                item.add_marker(pytest.mark.whole)


@pytest.fixture(scope="session")
def tap_server() -> Iterator[TapServer]:
    server = TapServer()
    yield server
    server.close()


@pytest.fixture(params=CASES, ids=str)
def case(request) -> Case:
    return request.param


@pytest.fixture
def bench(case, tap_server, tmp_path) -> Iterator[Bench]:
    bench = Bench(case, tap_server, tmp_path)
    with bench.sandbox:
        yield bench
        bench.close()


@pytest.fixture(scope="session")
def runs_without_faults(tap_server, tmp_path_factory) -> dict[str, Clean]:
    """API -> what a run without faults loads, and how many exports it asks for."""
    found = {}
    for case in CASES:
        bench = Bench(case, tap_server, tmp_path_factory.mktemp(case.api))
        with bench.sandbox as sandbox:
            run = bench.run()
            assert run.code == 0, run.stderr
            assert all(bench.tables.values())
            files = [served.path.read_bytes() for served in sandbox.served if served.path]
            header = max(file.index(b"\n") + 1 for file in files)
            found[case.api] = Clean(bench.tables, len(sandbox.exports), header)
    return found


@pytest.fixture
def clean(case, runs_without_faults) -> Clean:
    return runs_without_faults[case.api]
