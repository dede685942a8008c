"""The plugin definition: as the Hub wants it, and a project that works with nothing added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource

from support.processes import ROOT
from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.cli import COMMANDS
from tap_autodesk_exports.plugin.definition import LOADERS, SELECT, as_yaml, definition
from tap_autodesk_exports.settings import Settings

HUB = ROOT / "../shared/data/hub"
FILE = ROOT / "plugins/extractors/tap-autodesk-exports.yml"


def test_it_passes_the_hubs_own_schema():
    if not HUB.exists():
        pytest.skip("the Hub's schema is not here")
    schemas = {path.name: json.loads(path.read_text()) for path in HUB.rglob("*.json")}

    def retrieve(uri: str) -> Resource[Any]:
        return Resource.from_contents(schemas[uri.rpartition("/")[2]])

    validator = jsonschema.Draft7Validator(
        schemas["extractors.schema.json"], registry=Registry(retrieve=retrieve)
    )
    errors = list(validator.iter_errors(yaml.safe_load(FILE.read_text(encoding="utf-8"))))
    assert [f"{list(error.path)}: {error.message}" for error in errors] == []


def test_the_file_is_what_the_program_prints():
    assert FILE.read_text(encoding="utf-8") == as_yaml(definition())


def test_only_secrets_are_passwords_and_every_secret_is_one():
    entries: list[dict[str, Any]] = definition()["settings"]
    passwords = {entry["name"] for entry in entries if entry["kind"] == "password"}
    sensitive = {entry["name"] for entry in entries if entry.get("sensitive")}
    assert passwords == sensitive - {"credentials"}
    assert {"client_secret", "refresh_token", "hash_key"} <= passwords
    assert "token_store" not in passwords


def test_every_way_to_sign_in_names_settings_that_exist():
    names = {entry["name"] for entry in definition()["settings"]}
    assert {name for way in definition()["settings_group_validation"] for name in way} <= names


def test_its_commands_exist():
    assert set(definition()["commands"]) <= set(COMMANDS)


def test_the_selection_is_what_the_tap_selects_by_itself():
    from fnmatch import fnmatchcase

    excluded = [pattern.removeprefix("!").removesuffix(".*") for pattern in SELECT[1:]]
    for entry in SOURCES.values():
        for dataset in entry.datasets(Settings(), None):
            is_out = any(fnmatchcase(dataset.name, pattern) for pattern in excluded)
            assert dataset.selected_by_default == (not is_out), dataset.name


def test_loaders_are_pinned():
    assert all("==" in loader["pip_url"] for loader in LOADERS.values())


def test_the_logo_is_there():
    assert (ROOT / "docs/assets/logo.png").stat().st_size > 500
    assert Path(definition()["logo_url"]).suffix == ".png"
