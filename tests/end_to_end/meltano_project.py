"""A Meltano project of its own for each test, on the plugins that `make plugins` installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from surroundings import BIN, ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MELTANO = BIN / "meltano"


class MeltanoProject:
    """This checkout's meltano.yml in a folder of its own, with state and output of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {**clean_environment(), **environment}
        shutil.copy(ROOT / "meltano.yml", folder)
        (folder / "output").mkdir()
        (folder / ".meltano").mkdir()
        for plugins in ("extractors", "loaders"):
            (folder / ".meltano" / plugins).symlink_to(ROOT / ".meltano" / plugins)

    def meltano(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a Meltano command; the test judges its exit code."""
        return subprocess.run(
            [str(MELTANO), *arguments],
            cwd=self.folder,
            env={**self._environment, **(environment or {})},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def load(self, target: str, *, select: Iterable[str] | None = None) -> str:
        """Run `meltano run tap-autodesk-exports TARGET`, which must succeed; return its log."""
        chosen = {} if select is None else {"TAP_AUTODESK_EXPORTS__SELECT": json.dumps([*select])}
        done = self.meltano(
            "run", "--no-install", "tap-autodesk-exports", target, environment=chosen
        )
        assert done.returncode == 0, done.stderr[-8000:]
        return done.stderr


def tap_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write the tap's settings as the environment variables that Meltano reads."""
    return {
        f"TAP_AUTODESK_EXPORTS_{name.upper()}": value
        if isinstance(value, str)
        else json.dumps(value)
        for name, value in settings.items()
    }
