"""A made-up row: what is fixed about it, and what an extract covers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from random import Random

    from tap_autodesk_exports.sandbox.data.world import Person, World


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What an extract covers: a moment, projects (None: all), and ranges for the dated groups.

    With `versions`, the change groups hold every version of a row within their range.
    """

    now: dt.datetime
    projects: frozenset[str] | None = None
    activities: tuple[dt.datetime, dt.datetime] | None = None
    changes: tuple[dt.datetime, dt.datetime] | None = None
    versions: bool = False


@dataclasses.dataclass(slots=True)
class Life:
    """What is fixed about a row: what it belongs to, and when it is created, changed, deleted."""

    index: int
    project: int
    created: dt.datetime
    changed: tuple[dt.datetime, ...]
    deleted: dt.datetime | None
    parents: dict[str, int | None]


@dataclasses.dataclass(slots=True)
class Row:
    """A row being made: the randomness of its present version, and what it belongs to."""

    world: World
    project: int
    created: dt.datetime
    rng: Random

    def person(self, rng: Random) -> Person:
        """Return a member of the row's project who was there when the row was created."""
        members = self.world.projects[self.project].members
        chosen = self.world.people[rng.choice(members)]
        return chosen if chosen.joined <= self.created else self.world.people[members[0]]
