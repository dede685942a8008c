"""Every table of the registry, filled: rows are created, change and are deleted as time passes.

A row is a function of the seed, the table, its number and the date. Its creation, its changes and
its deletion happen at fixed moments, so a later snapshot shows later rows, and the change groups
(cdc) hold exactly what happened between two snapshots.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data import registry
from tap_autodesk_exports.sandbox.data.dialect import timestamp
from tap_autodesk_exports.sandbox.data.rows import Life, Row
from tap_autodesk_exports.sandbox.data.specials import DAILY, SIZES, links, specials
from tap_autodesk_exports.sandbox.data.stories import DERIVED, EVENTFUL, TELLERS, Stories
from tap_autodesk_exports.sandbox.data.values import maker, options
from tap_autodesk_exports.sandbox.data.world import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from tap_autodesk_exports.sandbox.data.registry import Table
    from tap_autodesk_exports.sandbox.data.rows import Snapshot
    from tap_autodesk_exports.sandbox.data.values import Maker
    from tap_autodesk_exports.sandbox.data.world import World

GROWTH = dt.timedelta(days=730)
"""Half of a table's rows are there from the beginning, the other half come within this time."""
BASE = dt.timedelta(days=60)
STEADY = dt.timedelta(days=895)
"""Within this time the rows of a table that grows steadily come."""
MAX_ACTIVITY_LAG_MINUTES = 20
"""Activities reach an extract up to this much later (documented)."""
DELETED_SHARE = 0.06
SMALL = 24
"""Tables up to this size are not scaled down: each project keeps its types and trees."""
PROJECT_COLUMNS = ("bim360_project_id", "project_id")
DATED = frozenset({"created_at", "updated_at", "deleted_at", "deleted_on", "is_deleted"})
BELONGS = frozenset(
    {"bim360_account_id", *PROJECT_COLUMNS, "created_by", "deleted_by", "user_id", "company_id",
     "role_id"}
)  # fmt: skip


class Tables:
    """The tables of one account."""

    def __init__(self, world: World, registry: Mapping[str, Table]) -> None:
        self.world = world
        self.registry = registry
        self._specials = specials(world)
        self._links = {name: links(table, registry) for name, table in registry.items()}
        self._pointed_at: dict[str, list[str]] = {}
        for found in self._links.values():
            for target, column in found.values():
                columns = self._pointed_at.setdefault(target, [])
                if column not in columns:
                    columns.append(column)
        self.life = functools.lru_cache(maxsize=None)(self._life)
        self._stories = Stories(world, self.life)
        self._makers = functools.cache(self._compile)

    def rows(self, name: str, snapshot: Snapshot) -> Iterator[list[str | None]]:
        """Yield the rows of a table as an extract holds them, cells in the order of the file."""
        table = self.registry[name]
        if table.group == "activities":
            yield from self._activities(table, snapshot)
        elif table.group.startswith("cdc"):
            yield from self._changes(table, snapshot)
        else:
            for life in self._alive(table, snapshot):
                if life.deleted is None or life.deleted > snapshot.now or table.soft_delete:
                    yield list(self._cells(table, life, snapshot.now).values())

    def _alive(self, table: Table, snapshot: Snapshot) -> Iterator[Life]:
        """Yield every row that was ever born until now, the first of each key only."""
        seen: set[tuple[str | None, ...]] = set()
        key = table.key if self._can_repeat(table) else ()
        count = self.count(table.name, snapshot.now)
        # The next one may be born already: `count` knows its time of birth only roughly.
        count += self._size(table.name) > 1 and table.name not in self._specials
        lives = [self.life(table.name, index) for index in range(count)]
        lives.sort(key=lambda life: (life.created, life.index))
        for life in lives:
            if life.created > snapshot.now or not self._within(life, snapshot, table):
                continue
            if key:
                cells = self._fixed(table, life, life.created)
                value = tuple(cells[column] for column in key)
                if value in seen:
                    continue
                seen.add(value)
            yield life

    def _can_repeat(self, table: Table) -> bool:
        """Whether two rows could come out with one key: not where the key is its own `id`."""
        own = len(table.key) == 1 and table.key[0] not in self._links[table.name]
        return bool(table.key) and not own and table.name not in self._specials

    def _within(self, life: Life, snapshot: Snapshot, table: Table) -> bool:
        if snapshot.projects is None or not self._of_project(table):
            return True
        return self.world.projects[life.project].id in snapshot.projects

    @staticmethod
    def _of_project(table: Table) -> bool:
        return table.short == "projects" or any(name in table.columns for name in PROJECT_COLUMNS)

    def _activities(self, table: Table, snapshot: Snapshot) -> Iterator[list[str | None]]:
        if snapshot.activities is None:
            return
        begin, end = snapshot.activities
        per_day = DAILY.get(table.name, 0.4) * self.world.scale
        first = max(0, math.floor((begin - EPOCH).total_seconds() / 86400 * per_day) - 2)
        last = math.ceil((min(end, snapshot.now) - EPOCH).total_seconds() / 86400 * per_day) + 2
        for index in range(first, max(first, last)):
            life = self.life(table.name, index)
            if not begin <= life.created <= end or not self._within(life, snapshot, table):
                continue
            lag = self.world.random("lag", table.name, index).random() * MAX_ACTIVITY_LAG_MINUTES
            if life.created + dt.timedelta(minutes=lag) <= snapshot.now:
                yield list(self._cells(table, life, snapshot.now).values())

    def _changes(self, table: Table, snapshot: Snapshot) -> Iterator[list[str | None]]:
        """Yield the rows of the mirrored table to which something happened within the range."""
        mirrored = self.registry.get(registry.mirrored(table.name))
        if mirrored is None or snapshot.changes is None:
            return
        begin, end = snapshot.changes
        for life in self._alive(mirrored, snapshot):
            events = self._events(life, snapshot.now)
            if snapshot.versions:
                every = sorted({life.created, *life.changed, *events})
                moments = [at for at in every if begin <= at <= min(end, snapshot.now)]
            else:
                happened = any(begin <= event <= end for event in events)
                moments = [snapshot.now] if happened else []
            for now in moments:
                yield self._change(table, mirrored, life, now)

    @staticmethod
    def _events(life: Life, now: dt.datetime) -> list[dt.datetime]:
        """Return creation, last change and deletion of a row, as far as they have happened."""
        updated = max((at for at in life.changed if at <= now), default=life.created)
        deleted = [life.deleted] if life.deleted and life.deleted <= now else []
        return [life.created, updated, *deleted]

    def _change(
        self, table: Table, mirrored: Table, life: Life, now: dt.datetime
    ) -> list[str | None]:
        """Make a row of a change group as it is at `now`."""
        created, updated, *deleted = self._events(life, now)
        cells = self._cells(mirrored, life, now)
        cells |= {
            "created_at": timestamp(created),
            "updated_at": timestamp(updated),
            "deleted_at": timestamp(deleted[0]) if deleted else None,
            "adsk_row_id": self.world.uuid(mirrored.name, "row", life.index),
            "adsk_updated_at": timestamp(max(created, updated, *deleted)),
        }
        project = cells.get("bim360_project_id") or cells.get("project_id")
        return [
            cells.get(column, project if column == "bim360_project_id" else None)
            for column in table.columns
        ]

    def count(self, name: str, now: dt.datetime) -> int:
        """Return how many rows were born until `now`, give or take the last ones."""
        if special := self._specials.get(name):
            return special.count
        if derived := DERIVED.get(name):
            return derived.steps * (self.count(derived.target, now) + 1)
        size = self._size(name)
        if name in EVENTFUL:
            return math.floor(size * max(0.0, (now - EPOCH) / STEADY))
        grown = max(0.0, (now - EPOCH - BASE) / GROWTH)
        return size - size // 2 + math.floor(size // 2 * grown)

    def _size(self, name: str) -> int:
        if name in SIZES:
            size = SIZES[name]
            return max(min(size, SMALL), round(size * self.world.scale))
        rng = self.world.random("size", name)
        size = rng.choice((0, 2, 5, 9, 14, 18))
        return max(4, size) if name in self._pointed_at else size

    def _life(self, name: str, index: int) -> Life:
        if name in DERIVED:
            return self._step(name, index)
        table = self.registry[name]
        rng = self.world.random("life", name, index)
        special = self._specials.get(name)
        born = special.born(index) if special else self._born(name, index, rng)
        project = (special.project(index) if special else None) or index % len(self.world.projects)
        # The first link decides the project, unless the row has a story.
        decides = name not in TELLERS
        if not decides:
            project = self._stories.project(name, index, born)
        parents: dict[str, int | None] = {}
        for position, (column, (target, _)) in enumerate(self._links[name].items()):
            if target == name:
                # Points to a row well before itself, if at all.
                parent = rng.randrange(index // 8) if index >= 16 and index % 2 else None  # noqa: PLR2004
            else:
                within = project if position or not decides else None
                parent = self._parent(target, born, within, rng)
            parents[column] = parent
            if parent is not None and target != name:
                life = self.life(target, parent)
                if not position and decides:
                    project = life.project
                born = max(born, life.created + dt.timedelta(minutes=rng.randrange(5, 300)))
        changed = tuple(
            sorted(
                born + dt.timedelta(days=rng.uniform(0.1, 400))
                for _ in range(rng.choice((0, 1, 3)))
            )
        )
        changed = tuple(at.replace(microsecond=at.microsecond // 1000 * 1000) for at in changed)
        told = self._stories.changes(name, index, born)
        changed = changed if told is None else tuple(told)
        end = self._end(table, changed, born, rng)
        if table.group == "activities":
            changed, end = (), None  # what has happened does not change
        return Life(index, project, born, changed, end, parents)

    def _step(self, name: str, index: int) -> Life:
        """Return the life of a row that is a step in the life of another one."""
        derived = DERIVED[name]
        born = self._stories.begins(name, index)
        parent = self.life(derived.target, index // derived.steps)
        parents: dict[str, int | None] = dict.fromkeys(self._links[name])
        parents[derived.column] = parent.index
        changed = tuple(self._stories.changes(name, index, born) or ())
        return Life(index, parent.project, born, changed, None, parents)

    def _born(self, name: str, index: int, rng: Random) -> dt.datetime:
        precision = rng.choice((1_000_000, 1_000, 1_000, 10_000, 1))
        if self.registry[name].group == "activities":
            per_day = DAILY.get(name, 0.4) * self.world.scale
            seconds = (index + rng.random()) / per_day * 86400
        elif name in EVENTFUL:
            seconds = (index + rng.random()) / self._size(name) * STEADY.total_seconds()
        else:
            size = self._size(name)
            base = size - size // 2
            step = GROWTH.total_seconds() / max(1, size // 2)
            seconds = BASE.total_seconds() * rng.random()
            if index >= base:
                seconds = BASE.total_seconds() + (index - base + rng.random()) * step
        return EPOCH + dt.timedelta(microseconds=int(seconds * 1_000_000) // precision * precision)

    def _end(
        self, table: Table, changed: tuple[dt.datetime, ...], born: dt.datetime, rng: Random
    ) -> dt.datetime | None:
        """Return when the row is deleted: what others point to only where a mark can say so."""
        draw = rng.random()
        days = rng.uniform(20, 500)
        gone = draw < DELETED_SHARE and table.name not in self._specials
        if not gone or (table.name in self._pointed_at and not table.soft_delete):
            return None
        end = max((born, *changed)) + dt.timedelta(days=days)
        return end.replace(microsecond=0)

    def _parent(
        self, target: str, born: dt.datetime, project: int | None, rng: Random
    ) -> int | None:
        """Choose a row of `target` that a row can point to; within `project` if that is set."""
        count = self.count(target, max(born, EPOCH + BASE))
        for _ in range(24 if count else 0):
            candidate = rng.randrange(count)
            if project is None or self.life(target, candidate).project == project:
                return candidate
        return None

    def _cells(self, table: Table, life: Life, now: dt.datetime) -> dict[str, str | None]:
        """Make the cells of a row as they are at `now`, in the order of the file."""
        version = sum(at <= now for at in life.changed)
        rng = self.world.random(table.name, life.index, version)
        row = Row(self.world, life.project, life.created, rng)
        made = {column: make(row) for column, make in self._makers(table.name)}
        made |= self._fixed(table, life, now)
        if special := self._specials.get(table.name):
            made |= special.cells(life.index, now)
        made |= self._stories.cells(table.name, life, now, made)
        return {column: made[column] for column in table.columns}

    def _compile(self, name: str) -> list[tuple[str, Maker]]:
        """Return the columns that only have to look right, with what makes their cells."""
        table = self.registry[name]
        settled = DATED | BELONGS | {*table.key, *self._links[name]}
        settled |= set(self._pointed_at.get(name, ()))
        if (special := self._specials.get(name)) and special.count:
            settled |= special.cells(0, special.born(0)).keys()
        return [(column, maker(table, column)) for column in table.columns if column not in settled]

    def _fixed(self, table: Table, life: Life, now: dt.datetime) -> dict[str, str | None]:
        """Return what does not change with the row's version: dates, links and identity."""
        rng = self.world.random("fixed", table.name, life.index)
        known = self._dates(life, now) | self._belongs(life, rng)
        if known["deleted_at"] is None:
            known["deleted_by"] = None
        fixed = {column: cell for column, cell in known.items() if column in table.columns}
        for column, (target, key) in self._links[table.name].items():
            parent = life.parents[column]
            if parent is not None:
                fixed[column] = self.identity(target, key, parent)
            else:
                free = column in table.key
                fixed[column] = self.identity(table.name, column, life.index) if free else None
        for column in (*table.key, *self._pointed_at.get(table.name, ())):
            if column not in fixed:
                fixed[column] = self._part_of_key(table, column, life.index, rng)
        return fixed

    @staticmethod
    def _dates(life: Life, now: dt.datetime) -> dict[str, str | None]:
        """Return the cells of `DATED`."""
        updated = max((at for at in life.changed if at <= now), default=life.created)
        deleted = timestamp(life.deleted) if life.deleted and life.deleted <= now else None
        return {
            "created_at": timestamp(life.created),
            "updated_at": timestamp(updated),
            "deleted_at": deleted,
            "deleted_on": deleted,
            "is_deleted": "t" if deleted else "f",
        }

    def _belongs(self, life: Life, rng: Random) -> dict[str, str | None]:
        """Return the cells of `BELONGS`: account, project, people, company, role."""
        world = self.world
        project = world.projects[life.project].id
        person = Row(world, life.project, life.created, rng).person(rng)
        return {
            "bim360_account_id": world.account_id,
            "bim360_project_id": project,
            "project_id": project,
            "created_by": person.autodesk_id,
            "deleted_by": person.autodesk_id,
            "user_id": person.id,
            "company_id": world.uuid("company", person.company),
            "role_id": world.uuid("role", person.role),
        }

    def _part_of_key(self, table: Table, column: str, index: int, rng: Random) -> str:
        if choices := options(table, column):
            return rng.choice(choices)
        if len(table.key) > 1 and (table.columns[column] == "enum: string" or _is_word(column)):
            return f"{column.rsplit('_', maxsplit=1)[-1]} {rng.randrange(40)}"
        # Where `id` leads a key of several parts it repeats, as observed in iq and reviews.
        repeats = len(table.key) > 1 and table.key[0] == column == "id"
        return self.identity(table.name, column, index // 3 if repeats else index)

    def identity(self, name: str, column: str, index: int) -> str:
        """Return the cell of `column` that identifies row `index` of a table."""
        table = self.registry[name]
        if special := self._specials.get(name):
            return special.cells(index, special.born(index))[column] or ""
        if table.columns[column] == "number":
            return str(index + 1)
        if table.columns[column] == "time":
            return f"{index % 24:02}:00:00"
        if name == "assets_categories" and column == "id":
            return str(index // len(self.world.projects) + 1)
        return self.world.uuid(name, column, index)


def _is_word(column: str) -> bool:
    """Whether a part of a key is a word rather than an identifier."""
    return not column.endswith(("id", "uid", "guid", "urn", "version", "revision", "index", "hour"))
