from __future__ import annotations

import json
import re

import pytest

from support.processes import ROOT

LOCKED = sorted(path.stem for path in (ROOT / "requirements" / "targets").glob("*.in"))


@pytest.fixture(scope="module")
def page_text() -> str:
    return (ROOT / "docs" / "loaders.md").read_text(encoding="utf-8")


def test_the_page_of_loaders_is_what_the_program_writes(page_text):
    import page

    assert page_text == page.written(page.found())


def test_every_target_with_a_lock_is_on_the_page(page_text):
    from known_targets import TARGETS

    assert LOCKED
    assert sorted(target.name for target in TARGETS) == LOCKED
    for name in LOCKED:
        assert f"## {name}\n" in page_text
        assert f"[{name}](#{name})" in page_text


def test_the_versions_on_the_page_are_those_that_the_locks_install():
    import page
    from known_targets import TARGETS

    found = page.found()
    assert {target.name: found[target.name]["version"] for target in TARGETS} == {
        target.name: target.version for target in TARGETS
    }


@pytest.mark.parametrize("name", LOCKED)
def test_every_lock_has_a_hash_for_each_package_and_names_no_registry(name):
    lock = (ROOT / "requirements" / "targets" / f"{name}.txt").read_text(encoding="utf-8")
    packages = re.findall(r"^[a-z0-9].*==", lock, re.MULTILINE)
    assert packages
    assert all(
        "--hash=sha256:" in block for block in re.split(r"\n(?=[a-z0-9])", lock) if "==" in block
    )
    assert "://" not in lock


def test_the_loader_of_this_project_has_the_settings_that_the_page_recommends():
    from known_targets import TARGETS

    meltano = (ROOT / "meltano.yml").read_text(encoding="utf-8")
    entries = re.split(r"^ {4}- name: ", meltano.partition("\n  loaders:\n")[2], flags=re.MULTILINE)
    loaders = {entry.split("\n", 1)[0]: entry for entry in entries}
    assert {"target-duckdb", "target-postgres"} <= loaders.keys()
    for target in TARGETS:
        if target.name in loaders:
            for name, value in target.recommended.settings.items():
                setting = rf"- name: {name}\n(?: +kind: \w+\n)? +value: {json.dumps(value)}\n"
                assert re.search(setting, loaders[target.name] + "\n"), (target.name, name)
