"""What the check needs to know of a target, and of the ways to load into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stores import Store

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements" / "targets"
ENVIRONMENTS = ROOT / ".targets"


@dataclass(frozen=True)
class Place:
    """Where one way of a target loads to.

    Attributes:
        folder: A folder of its own, for files.
        name: A name of its own, for a schema or a prefix.
        postgres: Folder with the socket of PostgreSQL.
        s3: URL of the emulator of S3.
    """

    folder: Path
    name: str
    postgres: Path
    s3: str


@dataclass(frozen=True)
class Way:
    """One way to load.

    Attributes:
        name: How the page calls it.
        settings: Settings of the target that differ from how it comes.
        encoding: Of BATCH files; None for RECORD messages.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    encoding: str | None = None


@dataclass(frozen=True)
class Target:
    """A target.

    Attributes:
        name: Name of its lock in `requirements/targets`.
        package: Its name in a package registry.
        executable: Its program.
        store: What it loads into, for the page.
        config: The settings that a place needs.
        read: The store of a place.
        ways: The ways to load; the last is the one that the page recommends.
        connection: Settings that stand for those of `config` on the page.
        pins: Further requirements of its `pip_url`.
        emulator: A program in this folder that runs the target over an emulator.
    """

    name: str
    package: str
    executable: str
    store: str
    config: Callable[[Place], dict[str, Any]]
    read: Callable[[Place], Store]
    ways: tuple[Way, ...]
    connection: Mapping[str, Any]
    pins: tuple[str, ...] = ()
    emulator: str | None = None

    @property
    def version(self) -> str:
        """The version in the lock."""
        lock = (LOCKS / f"{self.name}.txt").read_text(encoding="utf-8")
        found = re.search(rf"^{re.escape(self.package)}==(\S+)", lock, re.MULTILINE)
        if found is None:
            msg = f"{self.name}.txt does not lock {self.package}."
            raise ValueError(msg)
        return found[1]

    @property
    def recommended(self) -> Way:
        """The way that the page recommends."""
        return self.ways[-1]

    def command(self, place: Place) -> list[str]:
        """Return the command that runs the target, without its configuration."""
        programs = ENVIRONMENTS / self.name / "bin"
        if self.emulator:
            emulator = Path(__file__).with_name(self.emulator)
            return [str(programs / "python"), str(emulator), str(place.folder)]
        return [str(programs / self.executable)]
