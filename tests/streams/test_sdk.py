"""Every private name of the Singer SDK that is relied on exists, with the parameters used."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

import pytest

from support.processes import ROOT
from tap_autodesk_exports.streams import sdk

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = ROOT / "tap_autodesk_exports"
READS_THE_ENVIRONMENT = {"settings/config.py: singer_sdk.configuration._dict_config"}
"""The commands read the environment exactly as the SDK does, by the SDK's own function."""


@pytest.mark.parametrize(
    ("owner", "name"), [(o, n) for o, names in sdk.RELIED_ON.items() for n in names]
)
def test_a_private_name_that_is_relied_on_exists(owner, name):
    classes = [each for each in owner.__mro__ if each.__module__.startswith("singer_sdk")]
    defined = any(name in vars(each) for each in classes)
    assert defined or any(f"self.{name}" in inspect.getsource(each) for each in classes)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_sync_records", {"context", "write_messages"}),
        ("_sync_batches", {"batch_config", "context"}),
        ("_increment_stream_state", {"latest_record", "context"}),
        ("_write_starting_replication_value", {"context"}),
        ("_write_activate_version_message", {"full_table_version"}),
    ],
)
def test_a_private_method_has_the_parameters_that_are_used(method, parameters):
    from singer_sdk import Stream

    assert parameters <= set(inspect.signature(getattr(Stream, method)).parameters)


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "streams" / "sdk.py"]


def test_private_modules_and_names_of_the_sdk_are_imported_in_one_module():
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("singer_sdk"):
                names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
                if any(name.startswith("_") for name in names):
                    found.append(f"{path.relative_to(PACKAGE)}: {node.module}")
    assert set(found) <= READS_THE_ENVIRONMENT
