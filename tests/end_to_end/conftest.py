"""End-to-end tests run on the plugins that `make plugins` installed."""

from __future__ import annotations

import pytest
from surroundings import ROOT


@pytest.fixture(scope="session", autouse=True)
def _plugins() -> None:
    for plugin in ("extractors/tap-autodesk-exports", "loaders/target-duckdb"):
        if not (ROOT / ".meltano" / plugin / "venv").is_dir():
            pytest.fail("The Meltano plugins are not installed: run `make plugins`.")
