"""Token Flex consumption: charged items of every category, with all their fields.

A function of the seed and the day. An item is known some time after its usage; the tokens of a few
are restated later; manual entries are made up to two months after the date that they are for.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.habits import habits, season
from tap_autodesk_exports.sandbox.data.usage import arrival
from tap_autodesk_exports.sandbox.data.world import EPOCH, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tap_autodesk_exports.sandbox.data.world import Person, World

    Item = dict[str, str | float]

DESKTOP, CLOUD, SERVICE = "DESKTOP_PRODUCT", "CLOUD_PRODUCT", "CLOUD_SERVICE"
ADJUSTMENT, CONSUMPTION = "MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION"
CATEGORIES = (CLOUD, SERVICE, DESKTOP, ADJUSTMENT, CONSUMPTION)
LABELS = ("GEO", "Department", "Team", "Cost centre", "地理", "", "", "", "", "")
"""Labels of the ten custom fields; they can be empty (documented)."""
SERVICES = (("Cloud Rendering", "CLDRND"), ("Structural Analysis", "STRANL"))
RESTATED_SHARE = 0.02
YEARLY = 100_000
"""Tokens that a company of scale 1 uses in a year, roughly."""


@dataclasses.dataclass(frozen=True)
class Contract:
    """An enterprise agreement; `end` is its last day."""

    number: str
    name: str
    start: dt.date
    years: int

    @property
    def end(self) -> dt.date:
        """The last day."""
        return self.start.replace(year=self.start.year + self.years) - dt.timedelta(days=1)

    def year_of(self, day: dt.date) -> int:
        """Return the contract year of a day, counted from 1."""
        return day.year - self.start.year + (day >= self.start.replace(year=day.year))

    def year(self, number: int) -> tuple[dt.date, dt.date]:
        """Return first and last day of a contract year."""
        first = self.start.replace(year=self.start.year + number - 1)
        return first, first.replace(year=first.year + 1) - dt.timedelta(days=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Charge:
    """One charged item: its fields and metrics, when it is known and when it is restated."""

    day: dt.date
    category: str
    fields: Item
    known: dt.datetime
    restated: dt.datetime | None

    def at(self, now: dt.datetime) -> Item:
        """Return fields and metrics as they are at `now`."""
        if self.restated is None or now < self.restated:
            return self.fields
        return {**self.fields, "tokensConsumed": float(self.fields["tokensConsumed"]) + 1.5}

    def under(self, category: str) -> Charge:
        """Return the same as another item, of another category."""
        # No generated ID has a 0, so this one is not taken.
        changed = {"usageCategory": category, "chargedItemID": f"{self.fields['chargedItemID']}0"}
        return dataclasses.replace(self, category=category, fields={**self.fields, **changed})


class Tokens:
    """The consumption of all contracts of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        number = 110_000_900_000 + world.seed
        self.contracts = (
            Contract(str(number), "Enterprise agreement 2022", dt.date(2022, 2, 1), 3),
            Contract(str(number + 1), "Enterprise agreement 2025", dt.date(2025, 2, 1), 3),
        )
        self._day = functools.lru_cache(maxsize=4000)(self._generate)

    def charges(
        self, contract: Contract, first: dt.date, last: dt.date, now: dt.datetime
    ) -> Iterator[Charge]:
        """Yield what is known now of the contract's days from `first` to `last`, inclusive."""
        day = max(first, contract.start, EPOCH.date())
        last = min(last, contract.end, now.date())
        while day <= last:
            yield from (charge for charge in self._day(contract, day) if charge.known <= now)
            day += dt.timedelta(days=1)

    def provisioned(self) -> int:
        """Return the tokens of a contract year: about as many as are used, a few more or less."""
        share = self._world.random("provisioned").uniform(0.93, 1.04)
        return round(YEARLY * self._world.scale * share / 500) * 500

    def _generate(self, contract: Contract, day: dt.date) -> tuple[Charge, ...]:
        rng = self._world.random("tokens", day)
        everybody = habits(self._world)
        people = [p for p in self._world.people if p.joined.date() <= day]
        # Nobody is chosen who does not work; a weekend's few are as likely as any.
        weights = [everybody[p.index].share(day) for p in people]
        if not any(weights):
            return ()
        growth = len(people) / len(self._world.people)
        busy = season(day) * growth * rng.uniform(0.85, 1.15) * self._world.scale
        counts = (
            (DESKTOP, round(40 * busy)),
            (CLOUD, round(17 * busy)),
            (SERVICE, round(8 * busy)),
            (CONSUMPTION, int(day.weekday() == 0)),
            (ADJUSTMENT, int(day.day in {1, 15})),
        )
        return tuple(
            self._charge(rng, contract, day, person, (category, number))
            for category, count in counts
            for number, person in enumerate(rng.choices(people, weights, k=count))
        )

    def _charge(
        self,
        rng: Random,
        contract: Contract,
        day: dt.date,
        person: Person,
        item: tuple[str, int],
    ) -> Charge:
        category, number = item
        known = arrival(rng, day)
        fields: Item = {
            "usageDate": day.isoformat(),
            "usageMonth": day.replace(day=1).isoformat(),
            "contractYear": contract.year_of(day),
            "usageCategory": category,
            "chargedItemID": self._world.code(12, day, category, number),
            "userName": person.email,
            "tokenPool": "DEFAULT",
            "chargeCategory": "CHARGED",
            **{f"customField{i + 1}": text for i, text in enumerate(_custom(person))},
        }
        if category in {ADJUSTMENT, CONSUMPTION}:
            entered = day + dt.timedelta(days=rng.randrange(60))
            known = dt.datetime.combine(entered, dt.time(14), dt.UTC)
            fields |= _manual(rng, category, entered)
        elif category == DESKTOP:
            release = habits(self._world)[person.index].release(rng, day)
            fields |= _desktop(rng, day, person, release)
        else:
            fields |= _cloud(rng, category, person)
        late = rng.random() < RESTATED_SHARE and category == DESKTOP
        restated = known + dt.timedelta(days=rng.randint(2, 25)) if late else None
        return Charge(day, category, fields, known, restated)


def _custom(person: Person) -> tuple[str, ...]:
    return ("EMEA", person.group, f"Team {person.team}", f"CC{person.company:03}", "東京",
            "", "", "", "", "")  # fmt: skip


def _desktop(rng: Random, day: dt.date, person: Person, release: str) -> Item:
    own = [p for p in person.products if not PRODUCTS[p].cloud]
    product = PRODUCTS[rng.choice(own or range(6))]
    minutes = round(rng.triangular(2, 600, 90))
    # On the clock of the licence server: most begin in the morning.
    start = dt.datetime.combine(day, dt.time(7), dt.UTC) + dt.timedelta(
        seconds=round(rng.triangular(0, 11 * 3600, 2 * 3600))
    )
    free = minutes < 5  # noqa: PLR2004
    return {
        "productLineCode": product.feature,
        "productName": product.name,
        "productVersion": release,
        "productFeatureCode": f"8{rng.randrange(9999):04}{product.feature}_{release}_0F",
        "machineName": f"WS-{person.index:04}",
        "licenseServerName": f"lic{person.company}.example.com",
        "licenseServerTimeZoneOffset": "-8:00" if person.company % 2 else "1:00",
        "usageType": "Borrowed" if rng.random() < 0.03 else "Normal",  # noqa: PLR2004
        "chargeCategory": "FREE" if free else "CHARGED",
        "sessionStartDate": f"{start:%Y-%m-%dT%H:%M:%S}",
        "sessionEndDate": f"{start + dt.timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}",
        "tokensConsumed": 0.0 if free else float(product.tokens),
        "usageMinutes": float(minutes),
        "usageHours": round(minutes / 60, 4),
    }


def _cloud(rng: Random, category: str, person: Person) -> Item:
    if category == SERVICE:
        name, code = rng.choice(SERVICES)
        tokens = rng.randrange(1, 40) / 4
    else:
        own = [p for p in person.products if PRODUCTS[p].cloud]
        product = PRODUCTS[rng.choice(own or (6, 7))]
        name, code, tokens = product.name, product.code, float(product.tokens)
    return {
        "productLineCode": code,
        "productName": name,
        "hubId": "urn:adsk.plm:tenant:SANDBOX",
        "hubName": "Sandbox Builders",
        "tokensConsumed": tokens,
        "quantity": 1.0,
    }


def _manual(rng: Random, category: str, entered: dt.date) -> Item:
    product = rng.choice(PRODUCTS)
    sign = -1 if category == ADJUSTMENT and rng.random() < 0.5 else 1  # noqa: PLR2004
    quantity = rng.randrange(1, 20)
    return {
        "productLineCode": product.code,
        "productName": product.name,
        "userName": "",
        "chargeCategory": "N/A",
        "transactionDate": entered.isoformat(),
        "reasonType": "Credit" if sign < 0 else "Training",
        "reasonComment": f"Entered by hand, quantity {quantity}",
        "tokensConsumed": sign * quantity * 2.5,
        "quantity": float(quantity),
    }
