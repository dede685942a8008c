from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from support.processes import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_settings_in_the_readme_and_in_meltano_yml_follow_from_the_program():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "settings_tables.py"), "--check"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_make_target_that_the_readme_names_exists():
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = set(re.findall(r"\bmake ([a-z-]+)", README)) - {"it"}
    assert named
    assert named <= targets


def test_every_stream_pattern_of_the_readme_and_of_meltano_yml_meets_a_stream():
    from tap_autodesk_exports.tap import TapAutodeskExports

    tap = TapAutodeskExports(config={"sandbox": False}, validate_config=False)
    streams = list(tap.streams)
    text = README + (ROOT / "meltano.yml").read_text(encoding="utf-8")
    patterns = set(re.findall(r'- "!?([a-z0-9_*]+)\.\*"', text))
    assert len(patterns) > 5
    for pattern in patterns:
        assert any(Path(stream).match(pattern) for stream in streams), pattern


def test_locks_hold_what_pyproject_asks_for_and_name_no_package_index():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["sandbox"],
    ]
    assert _missing(wanted, "tap.txt") == []
    assert _missing([*wanted, *project["dependency-groups"]["dev"]], "dev.txt") == []
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert "--hash=sha256:" in text


def _missing(requirements: list[str], lock: str) -> list[str]:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    return [
        requirement
        for requirement in requirements
        if re.split(r"[\[<>=!~ ;]", requirement)[0].lower() not in locked
    ]
