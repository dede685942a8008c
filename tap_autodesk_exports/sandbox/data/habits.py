"""How people work: their rhythm, their holidays, when they take up a release, seat or tokens.

A function of the seed. Usage, tokens, seats and sign-ins all follow from it, so they agree.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.world import EPOCH, PRODUCTS

if TYPE_CHECKING:
    from random import Random

    from tap_autodesk_exports.sandbox.data.world import Person, World

SATURDAY = 5
WEEKEND_SHARE = 0.05
HOLIDAYS = frozenset({(1, 1), (5, 1), (12, 25), (12, 26)})
HOLIDAY_SHARE = 0.02
BETWEEN_THE_YEARS = 0.12
SUMMER = {7: 0.82, 8: 0.74}
VACATION_DAYS = 16
FURTHER_PRODUCTS = (1.0, 0.35, 0.2)
"""How often the second and third product of a person are used, next to the first one."""
UNUSED_SHARE = 0.1
UNASSIGNED_SHARE = 0.04
OLD_RELEASE_SHARE = 0.08
RELEASE = (4, 8)
"""Month and day on which the release of the following year appears."""
FIRST_RELEASE = 2024


class Rhythm(enum.Enum):
    """How often a person works with their products."""

    DAILY = 0.84
    WEEKLY = 0.24
    RARE = 0.04
    NEVER = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Habit:
    """What is fixed about how a person works.

    Attributes:
        rhythm: Its value is the share of working days with their first product.
        left: The day on which they left, if they did; their account stays.
        vacation: Day of the year on which their summer holiday begins.
        lag: Days after its appearance until they take up a release.
        by_tokens: Offerings that they use by Flex; they have a seat of the others.
        unused: Those of their products that they never touch.
        unassigned: Offerings whose seat was taken from them: the day.
    """

    rhythm: Rhythm
    left: dt.date | None
    vacation: int
    lag: int
    by_tokens: frozenset[str]
    unused: frozenset[int]
    unassigned: dict[str, dt.date]

    def share(self, day: dt.date) -> float:
        """Return how likely the person works on a day; more than 0 only while they are there."""
        if self.left is not None and day > self.left:
            return 0.0
        if 0 <= day.timetuple().tm_yday - self.vacation < VACATION_DAYS:
            return 0.0
        return self.rhythm.value * season(day)

    def release(self, rng: Random, day: dt.date) -> str:
        """Return the release that the person uses on a day; now and then the one before."""
        known = day - dt.timedelta(days=self.lag)
        newest = known.year + ((known.month, known.day) >= RELEASE)
        if rng.random() < OLD_RELEASE_SHARE:
            newest -= 1
        return str(max(newest, FIRST_RELEASE))


@functools.lru_cache(maxsize=20_000)
def season(day: dt.date) -> float:
    """Return the share of a company that works on a day, 1 on an ordinary working day."""
    if day.weekday() >= SATURDAY:
        return WEEKEND_SHARE
    if (day.month, day.day) in HOLIDAYS:
        return HOLIDAY_SHARE
    if (day.month, day.day) >= (12, 24):
        return BETWEEN_THE_YEARS
    return SUMMER.get(day.month, 1.0)


@functools.lru_cache(maxsize=64)
def habits(world: World) -> tuple[Habit, ...]:
    """Return the habits of all people of a world, by their index."""
    return tuple(_habit(world, person) for person in world.people)


def _habit(world: World, person: Person) -> Habit:
    rng = world.random("habit", person.index)
    draw = rng.random()
    if draw < 0.05:  # noqa: PLR2004
        rhythm = Rhythm.NEVER
    elif draw < 0.17:  # noqa: PLR2004
        rhythm = Rhythm.RARE
    elif draw < 0.36:  # noqa: PLR2004
        rhythm = Rhythm.WEEKLY
    else:
        rhythm = Rhythm.DAILY
    left = person.joined.date() + dt.timedelta(days=rng.randrange(90, 1100))
    stays = rng.random() > 0.1 or not person.index  # noqa: PLR2004
    offerings = sorted({PRODUCTS[product].offering for product in person.products})
    token_share = {Rhythm.RARE: 0.5, Rhythm.WEEKLY: 0.25}.get(rhythm, 0.12)
    by_tokens = frozenset(name for name in offerings if rng.random() < token_share)
    unused = frozenset(p for p in person.products[1:] if rng.random() < UNUSED_SHARE)
    return Habit(
        rhythm=rhythm,
        left=None if stays else left,
        vacation=rng.randrange(172, 235),
        lag=(35, 110, 230)[person.team] + rng.randrange(75),
        by_tokens=by_tokens,
        unused=unused,
        unassigned=_unassigned(rng, offerings, None if stays else left),
    )


def _unassigned(rng: Random, offerings: list[str], left: dt.date | None) -> dict[str, dt.date]:
    """Return whose seats were taken back: of half of those who left, and of a few others."""
    found = {}
    for offering in offerings:
        day = EPOCH.date() + dt.timedelta(days=rng.randrange(200, 1200))
        if left is not None and rng.random() < 0.5:  # noqa: PLR2004
            found[offering] = left + dt.timedelta(days=rng.randrange(3, 30))
        elif left is None and rng.random() < UNASSIGNED_SHARE:
            found[offering] = day
    return found


def last_sign_in(world: World, person: Person, now: dt.datetime) -> dt.datetime | None:
    """Return when a person signed in to the account last, half as often as they work."""
    habit = habits(world)[person.index]
    for days in range(1, 420):
        day = now.date() - dt.timedelta(days=days)
        if day < person.joined.date():
            return None
        share = habit.share(day) / 2
        rng = world.random("sign-in", person.index, day) if share else None
        if rng is not None and rng.random() < share:
            seconds = rng.randrange(7 * 3600, 17 * 3600)
            return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(seconds=seconds)
    return None
