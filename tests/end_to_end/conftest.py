"""End-to-end tests run on the plugins that `make plugins` installed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from end_to_end.meltano_project import MeltanoProject
from support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

sys.path.append(str(ROOT / "demo"))  # its comparison with what was served is used here too


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What `meltano invoke tap-autodesk-exports --discover` says: stream -> column -> type."""
    project = MeltanoProject(tmp_path_factory.mktemp("discovery"))
    done = project.meltano("invoke", "--no-install", "tap-autodesk-exports", "--discover")
    assert done.returncode == 0, done.stderr
    return {
        entry["tap_stream_id"]: {
            name: _type(schema) for name, schema in entry["schema"]["properties"].items()
        }
        for entry in json.loads(done.stdout)["streams"]
    }


def _type(schema: dict[str, object]) -> str:
    formats = {"date-time": "timestamp", "date": "date", "time": "time"}
    kinds = schema["type"]
    assert isinstance(kinds, list)
    return formats.get(str(schema.get("format")), next(kind for kind in kinds if kind != "null"))


@pytest.fixture
def project(tmp_path: Path) -> MeltanoProject:
    """A Meltano project of the test's own."""
    return MeltanoProject(tmp_path)
