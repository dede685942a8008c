"""Daily product usage, as Insights reports it: who used what on which day, and when it was known.

A function of the seed and the day alone; `known` leaves out what has not reached Autodesk yet.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.habits import FURTHER_PRODUCTS, habits
from tap_autodesk_exports.sandbox.data.world import EPOCH, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tap_autodesk_exports.sandbox.data.world import Person, Product, World

LATE_SHARE = 0.03
MAX_LATE_DAYS = 30
"""Offline use of a single-user licence is reported up to 30 days late (documented)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """A person used a product on a day; `known` is when Autodesk received it."""

    day: dt.date
    person: Person
    product: Product
    version: str
    flex: bool
    known: dt.datetime

    @property
    def tokens(self) -> int:
        """Tokens charged for the day; none for a subscription."""
        return self.product.tokens if self.flex else 0


class Usage:
    """All daily usage of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._day = functools.lru_cache(maxsize=4000)(self._generate)

    def between(self, first: dt.date, last: dt.date, now: dt.datetime) -> Iterator[Use]:
        """Yield what is known `now` of the days from `first` to `last`, both inclusive."""
        day = max(first, EPOCH.date())
        last = min(last, now.date())
        while day <= last:
            yield from (use for use in self._day(day) if use.known <= now)
            day += dt.timedelta(days=1)

    def _generate(self, day: dt.date) -> tuple[Use, ...]:
        rng = self._world.random("usage", day)
        everybody = habits(self._world)
        uses: list[Use] = []
        for person in self._world.people:
            habit = everybody[person.index]
            share = habit.share(day) if person.joined.date() <= day else 0.0
            for product, further in zip(person.products, FURTHER_PRODUCTS, strict=False):
                if rng.random() < share * further and product not in habit.unused:
                    uses.append(self._use(rng, day, person, product))
        return tuple(uses)

    def _use(self, rng: Random, day: dt.date, person: Person, product: int) -> Use:
        habit = habits(self._world)[person.index]
        return Use(
            day=day,
            person=person,
            product=PRODUCTS[product],
            version="" if PRODUCTS[product].cloud else habit.release(rng, day),
            flex=PRODUCTS[product].offering in habit.by_tokens,
            known=arrival(rng, day),
        )


def arrival(rng: Random, day: dt.date) -> dt.datetime:
    """Return when the usage of a day is known: the next morning, or up to 30 days late."""
    days = rng.randint(2, MAX_LATE_DAYS) if rng.random() < LATE_SHARE else 1
    return dt.datetime.combine(day, dt.time(3, 0), dt.UTC) + dt.timedelta(
        days=days, minutes=rng.randrange(120)
    )
