"""The attack suite's fixtures, its short form, and the table that it prints.

Each module is one kind of attack, each test function one promise (its docstring), each case a
trial. `make attack` runs all of them; `make test` runs some of each promise.
"""

from __future__ import annotations

import inspect
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from support.attack import Certificates, Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = {
    1: "Credentials stay with their host",
    2: "What is hashed is hashed everywhere",
    3: "Secrets are never printed",
    4: "The token chain is never lost",
    5: "Nothing hangs",
    6: "Memory and disk are bounded",
    7: "Any state is survived",
    8: "Only what is ours is deleted",
    9: "Sentences instead of tracebacks",
    10: "The sandbox is no open door",
    11: "What is shipped is known",
    12: "Other systems than POSIX",
}
PROPERTY = "attack"
SHOW = "ATTACK_TABLE"
"""Environment variable that `make attack` sets to have every trial printed."""


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a shell does to what it starts in the background: so would every trial.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "kind(number): the kind of attack, see KINDS")
    config.addinivalue_line(
        "markers",
        "short(*names): the trials of a promise that are in the short form",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `whole` all trials of a promise but those that its short form names."""
    promises: dict[str, list[pytest.Item]] = {}
    for item in items:
        marker = item.get_closest_marker("kind")
        if marker:
            _describe(item, marker)
            promises.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for trials in promises.values():
        marker = trials[0].get_closest_marker("short")
        chosen = marker.args if marker else ()
        names = {_name(item) for item in trials}
        if os.environ.get(SHOW) and len(trials) > 1 and (unknown := set(chosen) - names):
            msg = f"{trials[0].nodeid} has no trial that is called {', '.join(sorted(unknown))}"
            raise pytest.UsageError(msg)
        for item in trials:
            if _name(item) not in chosen:
                item.add_marker(pytest.mark.whole)


def _name(item: pytest.Item) -> str:
    """Return the name of a trial: of a case, or of the only one."""
    return item.name.partition("[")[2].rpartition("]")[0] or item.name.removeprefix("test_")


def _describe(item: pytest.Item, marker: pytest.Mark) -> None:
    function = getattr(item, "function", None)
    promise = (inspect.getdoc(function) or item.name).split("\n\n")[0].replace("\n", " ")
    item.user_properties.append((PROPERTY, [marker.args[0], promise, _name(item)]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table: trial, promise and outcome, and a summary by kind."""
    rows = []
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            found = dict(getattr(report, "user_properties", ())).get(PROPERTY)
            if found and (outcome != "passed" or report.when == "call"):
                rows.append((*found, outcome, _reason(report)))
    if not rows:
        return
    rows.sort(key=lambda row: row[:3])
    write = terminalreporter.write_line
    if os.environ.get(SHOW):
        terminalreporter.section("Attack suite: every trial")
        write("| kind | promise | trial | outcome |")
        write("|---|---|---|---|")
        for kind, promise, trial, outcome, reason in rows:
            kept = {"passed": "kept", "skipped": "not possible here"}.get(outcome, "BROKEN")
            write(f"| {kind} | {promise} | {trial} | {kept}{reason and ': ' + reason} |")
    terminalreporter.section("Attack suite: by kind")
    write("| kind | promises | trials | kept |")
    write("|---|---|---|---|")
    for number, name in KINDS.items():
        if tried := [row for row in rows if row[0] == number and row[3] != "skipped"]:
            write(f"| {number}. {name} | {' | '.join(map(str, _counts(tried)))} |")
    tried = [row for row in rows if row[3] != "skipped"]
    write(f"| **all** | {' | '.join(f'**{count}**' for count in _counts(tried))} |")


def _counts(tried: list[Any]) -> tuple[int, int, int]:
    """Return the numbers of promises, of trials, and of trials that were kept."""
    promises = {(kind, promise) for kind, promise, *_ in tried}
    return len(promises), len(tried), sum(row[3] == "passed" for row in tried)


def _reason(report: Any) -> str:
    if report.passed:
        return ""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])[:120]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr)
    return " ".join(text.replace("AssertionError: ", "").replace("|", "¦").split())[:300]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def lab(tmp_path: Path, certificates: Certificates) -> Iterator[Lab]:
    lab = Lab(tmp_path, certificates)
    yield lab
    lab.close()
