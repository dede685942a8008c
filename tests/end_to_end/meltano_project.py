"""A Meltano project of its own for each test, on the plugins that `make plugins` installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from support.processes import BIN, ROOT, clean_environment
from tap_autodesk_exports.settings.config import environment_variables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class MeltanoProject:
    """This checkout's meltano.yml in a folder of its own, with state and output of its own.

    Attributes:
        settings: The tap's settings.
        environment: Variables for Meltano and its plugins.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {}
        self.environment = {"TMPDIR": str(folder / "tmp"), "XDG_STATE_HOME": str(folder / "state")}
        (folder / "tmp").mkdir()
        shutil.copy(ROOT / "meltano.yml", folder)
        (folder / ".meltano").mkdir()
        for plugins in ("extractors", "loaders"):
            installed = ROOT / ".meltano" / plugins
            assert installed.is_dir(), "The Meltano plugins are not installed: run `make plugins`."
            (folder / ".meltano" / plugins).symlink_to(installed)

    def meltano(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a Meltano command; the test judges its exit code."""
        return subprocess.run(
            [str(BIN / "meltano"), *arguments],
            cwd=self.folder,
            env={**clean_environment(), **environment_variables(self.settings), **self.environment},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def load(self, target: str, *options: str, select: Iterable[str] | None = None) -> str:
        """Run `meltano run tap-autodesk-exports TARGET`, which must succeed; return its log.

        Args:
            target: The loader.
            options: Options of `meltano run`.
            select: Patterns of streams, in place of those in meltano.yml.
        """
        if select is not None:
            patterns = json.dumps([f"{pattern}.*" for pattern in select])
            self.environment["TAP_AUTODESK_EXPORTS__SELECT"] = patterns
        done = self.meltano("run", "--no-install", *options, "tap-autodesk-exports", target)
        assert done.returncode == 0, done.stderr[-8000:]
        return done.stderr
