"""Kind 12: the package asks for nothing that only POSIX has, and CI runs it elsewhere as well."""

from __future__ import annotations

import ast
import re

import pytest

from support import processes
from support.attack import APIS, COMPANION, STREAMS, TAP

pytestmark = pytest.mark.kind(12)

POSIX_ONLY = {"fcntl", "grp", "pwd", "resource", "termios", "posix", "pty", "tty", "syslog"}
SOURCES = sorted((processes.ROOT / "tap_autodesk_exports").rglob("*.py"))


def test_no_module_of_posix_alone_is_needed():
    """No module of the package needs a module at import that only POSIX has."""
    found = []
    for path in SOURCES:
        for node in ast.parse(path.read_text("utf-8")).body:
            names = (
                {alias.name for alias in node.names}
                if isinstance(node, ast.Import)
                else {node.module}
                if isinstance(node, ast.ImportFrom)
                else set()
            )
            if names & POSIX_ONLY:
                found.append(path.name)
    assert found == []


@pytest.fixture
def elsewhere(lab):
    """`elsewhere(program, config, *arguments)` runs a program as where POSIX is not."""
    import sys

    def run(program, config, *arguments, **options):
        before = [sys.executable, str(processes.ROOT / "tests" / "support" / "elsewhere.py")]
        attempt = lab.begin(config, *arguments, program=program, pace=1, before=before,
                            by_name=True, **options)  # fmt: skip
        return attempt.end()

    return run


@pytest.mark.parametrize("api", APIS)
@pytest.mark.short("insights")
def test_a_run_needs_nothing_of_posix(lab, elsewhere, api):
    """A run of each API needs nothing that only POSIX has."""
    run = elsewhere(TAP, lab.config(api), streams=STREAMS[api])
    run.assert_ok()
    assert all(run.records(name) for name in STREAMS[api])


FORMS = {
    "workbooks": {"insights_output_format": "EXCEL"},
    "JSON": {"insights_output_format": "JSON"},
    "a refresh token": None,
    "batches": {"batch_config": {"encoding": {"format": "parquet"}, "storage": {"root": "ROOT"}}},
}


@pytest.mark.parametrize("name", FORMS)
def test_no_road_needs_anything_of_posix(lab, elsewhere, name):
    """Workbooks, JSON, batches and the token store need nothing that only POSIX has either."""
    root = lab.folder / "batches"
    root.mkdir()
    more = FORMS[name] or {**lab.with_refresh_token, "token_store": str(lab.folder / "tokens.json")}
    if name == "batches":
        more = {"batch_config": {**more["batch_config"], "storage": {"root": root.as_uri()}}}
    run = elsewhere(TAP, lab.config("insights", **more), streams=STREAMS["insights"])
    run.assert_ok()


@pytest.mark.parametrize("arguments", [["--discover"], ["--about"], ["--version"]], ids=" ".join)
def test_no_option_needs_anything_of_posix(lab, elsewhere, arguments):
    """Discovery and the tap's other options need nothing that only POSIX has."""
    elsewhere(TAP, lab.config("insights"), *arguments).assert_ok()


@pytest.mark.parametrize("command", ["doctor", "schema"])
def test_no_command_needs_anything_of_posix(lab, elsewhere, command):
    """The companion's commands need nothing that only POSIX has."""
    config = lab.config() if command == "doctor" else None
    more = [] if command == "doctor" else ["--api-url", lab.front.url]
    run = elsewhere(COMPANION, config, command, *more)
    assert run.code in {0, 1}
    assert run.raw


def test_files_are_opened_with_their_encoding():
    """No file is opened in the system's own encoding, which is another one on Windows."""
    opening = re.compile(r"\.(?:read_text|write_text)\(\s*\)|(?<![.\w])open\([^)]*\"[rwa]\"\s*\)")
    found = [path.name for path in SOURCES if opening.search(path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_ci_runs_on_other_systems(system):
    """CI has a job for Windows and one for macOS."""
    text = "\n".join(
        path.read_text("utf-8") for path in (processes.ROOT / ".github").rglob("*.y*ml")
    )
    assert f"{system}-" in text
