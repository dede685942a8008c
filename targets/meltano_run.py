"""`meltano run` with a target as the page recommends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from messages import STREAMS
from target import ENVIRONMENTS, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target import Place, Target

MELTANO = str(Path(sys.executable).with_name("meltano"))


def plugins(target: Target, connection: Mapping[str, Any], batches: str) -> dict[str, Any]:
    """Return what a meltano.yml needs under `plugins` beside the tap's own definition.

    Args:
        target: The target.
        connection: Its settings for the store.
        batches: Where BATCH files go.
    """
    way = target.recommended
    loader = {
        "name": target.executable,
        "namespace": target.executable.replace("-", "_"),
        "pip_url": " ".join([f"{target.package}=={target.version}", *target.pins]),
        "executable": target.executable,
        "config": {**connection, **way.settings},
    }
    if way.encoding is None:
        return {"loaders": [loader]}
    encoding, _, compression = way.encoding.partition("+")
    batch_config = {
        "encoding": {"format": encoding, "compression": compression or "none"},
        "storage": {"root": f"file://{batches}"},
    }
    tap = {"name": "tap-autodesk-exports", "config": {"batch_config": batch_config}}
    return {"extractors": [tap], "loaders": [loader]}


def meltano_run(target: Target, place: Place, settings: Mapping[str, Any]) -> str:
    """Run the tap and a target in a Meltano project; return the end of the log where it fails.

    Args:
        target: The target.
        place: Where it loads to.
        settings: The tap's settings.
    """
    project = place.folder / "project"
    (project / ".meltano" / "loaders" / target.executable).mkdir(parents=True)
    (project / ".meltano" / "extractors").symlink_to(ROOT / ".meltano" / "extractors")
    environment = project / ".meltano" / "loaders" / target.executable / "venv"
    environment.symlink_to(ENVIRONMENTS / target.name)
    (project / "batches").mkdir()
    content = json.dumps(_project(target, place, settings))  # JSON is YAML, too
    (project / "meltano.yml").write_text(content, encoding="utf-8")
    done = subprocess.run(
        [MELTANO, "run", "--no-install", "tap-autodesk-exports", target.executable],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith("TARGET_")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.stderr[-2000:] if done.returncode else ""


def _project(target: Target, place: Place, settings: Mapping[str, Any]) -> dict[str, Any]:
    added = plugins(target, target.config(place), str(place.folder / "project" / "batches"))
    (own,) = added.get("extractors", [{"config": {}}])
    tap = {
        "name": "tap-autodesk-exports",
        "namespace": "tap_autodesk_exports",
        "pip_url": "tap-autodesk-exports",
        "executable": "tap-autodesk-exports",
        "capabilities": ["batch", "catalog", "discover", "state"],
        "select": [f"{stream}.*" for stream in STREAMS],
        "config": {**settings, **own["config"]},
    }
    return {
        "version": 1,
        "project_id": "c0ffee00-0000-4000-8000-000000000001",
        "default_environment": "check",
        "environments": [{"name": "check"}],
        "send_anonymous_usage_stats": False,
        "cli": {"disable_version_check": True},
        "plugins": {"extractors": [tap], "loaders": added["loaders"]},
    }
