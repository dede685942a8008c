"""The four Insights reports as tables.

Columns: SUBSCRIPTIONS and USAGE_REPORT as in real files (observed), USERS and USAGE as the help
pages list them (documented names, assumed order).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.data.habits import habits
from tap_autodesk_exports.sandbox.data.usage import Usage
from tap_autodesk_exports.sandbox.data.world import EPOCH, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from tap_autodesk_exports.sandbox.data.habits import Habit
    from tap_autodesk_exports.sandbox.data.names import Names
    from tap_autodesk_exports.sandbox.data.usage import Use
    from tap_autodesk_exports.sandbox.data.world import Person, Team, World

    Value = str | int | float | dt.date | dt.datetime | None
    Line = dict[str, Value]

MASK = "*****"
INACTIVE_DAYS = 30

COLUMNS = {
    "SUBSCRIPTIONS": (
        "team_alias", "offering_name", "contract_number", "subscription_id", "term", "start_date",
        "end_date", "autorenew_date", "subscription_status", "seat_quantity", "reseller_email",
        "reseller_name",
    ),
    "USERS": (
        "team_alias", "autodesk_id", "email", "first_name", "last_name", "offering_name",
        "product_name", "role", "account_status",
    ),
    "USAGE": (
        "team_alias", "offering_name", "product_name", "version", "day_used", "access_option",
        "hashed_autodesk_id", "autodesk_id", "email", "first_name", "last_name",
    ),
    "USAGE_REPORT": (
        "hashed_autodesk_id", "first_name", "last_name", "email", "autodesk_id", "team_alias",
        "group", "offering_name", "version", "seat_assignment", "assigned_date", "unassigned_date",
        "user_activity", "days_inactive", "access_option", "days_used", "monthly_average",
        "tokens_used", "last_accessed",
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Scope:
    """What a report covers.

    Attributes:
        teams: The teams to report on.
        now: What is not known yet is left out.
        period: Usage dates, both inclusive (documented for USAGE_REPORT, assumed for USAGE).
        filters: Of USAGE_REPORT, as documented.
        mixed_access: Whether a person can use an offering by seat and by token.
        token_rows: Whether USAGE_REPORT has a token row where there is a seat row as well.
    """

    teams: list[Team]
    now: dt.datetime
    period: tuple[dt.datetime, dt.datetime] | None = None
    filters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    mixed_access: bool = False
    token_rows: bool = True


class Reports:
    """The reports of a world's teams, under today's names."""

    def __init__(self, world: World, names: Names) -> None:
        self._world = world
        self._names = names
        self.usage = Usage(world)

    def lines(self, report: str, scope: Scope) -> Iterator[Line]:
        """Yield the rows of a report: column -> value, as `COLUMNS` names them.

        USAGE has `tokens_used` as well, which only some files show.
        """
        match report:
            case "SUBSCRIPTIONS":
                for team in scope.teams:
                    yield from self._subscriptions(team, scope.now)
            case "USERS":
                for team in scope.teams:
                    yield from self._users(team, self._members(team, scope.now))
            case "USAGE":
                yield from self._daily(scope)
            case _:
                yield from self._by_product(scope)

    def _members(self, team: Team, now: dt.datetime) -> list[Person]:
        index = self._world.teams.index(team)
        return [p for p in self._world.people if p.team == index and p.joined <= now]

    def _subscriptions(self, team: Team, now: dt.datetime) -> Iterator[Line]:
        for number, product in enumerate(PRODUCTS):
            rng = self._world.random("subscription", team.id, number)
            years = rng.choice((1, 1, 3))
            start = EPOCH + dt.timedelta(days=rng.randrange(120))
            while start + dt.timedelta(days=365 * years) < now:
                start += dt.timedelta(days=365 * years)
            yield {
                "team_alias": self._names.team(team),
                "offering_name": self._names.offering(product.offering),
                "contract_number": f"{110_000_000_000 + rng.randrange(10**9)}",
                "subscription_id": f"574-{rng.randrange(10**8):08}" if number else None,
                "term": f"{years} Year{'s' if years > 1 else ''}",
                "start_date": start,
                "end_date": start + dt.timedelta(days=365 * years - 1),
                "autorenew_date": start + dt.timedelta(days=365 * years - 30)
                if number % 3
                else None,
                "subscription_status": "Active",
                "seat_quantity": self._seats(team, number, start, rng),
                "reseller_email": "orders@example.com" if number % 2 else None,
                "reseller_name": "Reseller, Example" if number % 2 else "Autodesk Inc",
            }

    def _seats(self, team: Team, number: int, start: dt.datetime, rng: Random) -> int:
        """Return the seats of a subscription: a little above the need when its term began.

        An offering with two subscriptions has two thirds of its seats in the first one.
        """
        offering = PRODUCTS[number].offering
        parts = [place for place, product in enumerate(PRODUCTS) if product.offering == offering]
        need = sum(
            offering in {PRODUCTS[product].offering for product in person.products}
            and offering not in habits(self._world)[person.index].by_tokens
            for person in self._members(team, start)
        )
        seats = need * rng.uniform(1.05, 1.4) + rng.randrange(1, 3)
        if len(parts) > 1:
            seats *= 2 / 3 if number == parts[0] else 1 / 3
        return max(1, round(seats))

    def _users(self, team: Team, people: list[Person]) -> Iterator[Line]:
        for person in people:
            for product in person.products:
                yield {
                    **self._who(person, team),
                    "offering_name": self._names.offering(PRODUCTS[product].offering),
                    "product_name": self._names.product(PRODUCTS[product].name),
                    "role": "Primary admin" if person.index < len(self._world.teams) else "User",
                    "account_status": "Active",
                }

    def _uses(self, scope: Scope) -> Iterator[tuple[Team, Use]]:
        if scope.period is None:
            return
        begin, end = scope.period
        wanted = {self._world.teams.index(team): team for team in scope.teams}
        for use in self.usage.between(_first_day(begin), end.date(), scope.now):
            if team := wanted.get(use.person.team):
                yield team, _mixed(use) if scope.mixed_access else use

    def _daily(self, scope: Scope) -> Iterator[Line]:
        for team, use in self._uses(scope):
            yield {
                **self._who(use.person, team),
                "offering_name": self._names.offering(use.product.offering),
                "product_name": self._names.product(use.product.name),
                "version": use.version or None,
                "day_used": use.day,
                "access_option": _option(flex=use.flex),
                "tokens_used": use.tokens if use.flex else None,
            }

    def _by_product(self, scope: Scope) -> Iterator[Line]:
        """Yield one row per user and offering, also for those who used nothing.

        With mixed access, one for each access option.
        """
        if scope.period is None:
            return
        uses: dict[tuple[int, str], list[Use]] = {}
        for _, use in self._uses(scope):
            uses.setdefault((use.person.index, use.product.offering), []).append(use)
        for team in scope.teams:
            for person in self._members(team, scope.now):
                for offering in dict.fromkeys(PRODUCTS[p].offering for p in person.products):
                    found = uses.get((person.index, offering), [])
                    for part in _by_option(found, scope) if scope.mixed_access else [found]:
                        habit = habits(self._world)[person.index]
                        line = _summary(person, habit, offering, part, scope.period)
                        if _passes(line, person, offering, scope.filters):
                            yield {
                                **line,
                                **self._who(person, team),
                                "group": self._names.group(person.group) or None,
                                "offering_name": self._names.offering(offering),
                            }

    def _who(self, person: Person, team: Team) -> Line:
        shown = (person.autodesk_id, person.email, person.first_name, person.last_name)
        autodesk_id, email, first_name, last_name = (MASK,) * 4 if team.masked else shown
        return {
            "team_alias": self._names.team(team),
            "hashed_autodesk_id": person.hashed_id,
            "autodesk_id": autodesk_id,
            "email": email,
            "first_name": first_name,
            "last_name": last_name,
        }


def _option(*, flex: bool) -> str:
    return "Flex" if flex else "Subscription"


def _mixed(use: Use) -> Use:
    """Return a use as it is where people have seats and tokens: some take a token now and then."""
    by_token = use.person.index % 4 == 1 and use.day.toordinal() % 3 == 0
    return dataclasses.replace(use, flex=True) if by_token else use


def _by_option(uses: list[Use], scope: Scope) -> list[list[Use]]:
    """Return the uses by seat, then those by token; one empty part where nothing was used."""
    seat, token = [use for use in uses if not use.flex], [use for use in uses if use.flex]
    if seat and not scope.token_rows:
        return [seat]
    return [part for part in (seat, token) if part] or [[]]


def _first_day(start: dt.datetime) -> dt.date:
    """Return the first day whose midnight is not before `start` (documented: date >= start)."""
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return start.date() if midnight == start else start.date() + dt.timedelta(days=1)


def _summary(
    person: Person,
    habit: Habit,
    offering: str,
    uses: list[Use],
    period: tuple[dt.datetime, dt.datetime],
) -> Line:
    days = {use.day for use in uses}
    flex = any(use.flex for use in uses) if uses else offering in habit.by_tokens
    months = max(1.0, (period[1] - period[0]).days / 30.4)
    last = max(days, default=None)
    inactive = (period[1].date() - last).days if last else None
    taken = habit.unassigned.get(offering)
    assigned = taken is None or taken > period[1].date()
    versions = Counter(use.version for use in uses if use.version)
    return {
        "version": ",".join(sorted(versions)) or None,
        "seat_assignment": "assigned" if assigned else "unassigned",
        "assigned_date": f"{person.joined:%Y-%m-%dT%H:%M:%SZ}",
        "unassigned_date": None if assigned else f"{taken}T23:59:59Z",
        "user_activity": "inactive" if inactive is None or inactive > INACTIVE_DAYS else "active",
        "days_inactive": inactive,
        "access_option": _option(flex=flex),
        "days_used": len(days),
        "monthly_average": round(len(days) / months, 1),
        "tokens_used": sum(use.tokens for use in uses) if flex else None,
        "last_accessed": last,
    }


def _passes(line: Line, person: Person, offering: str, filters: Mapping[str, Any]) -> bool:
    codes = {product.code for product in PRODUCTS if product.offering == offering}
    versions = set(str(line["version"] or "cloud").split(","))
    have: dict[str, set[object]] = {
        "groupId": {person.group},
        "productLineCode": {*codes},
        "source": {"flex" if line["access_option"] == "Flex" else "sus"},
        "assigned": {line["seat_assignment"] == "assigned"},
        "userStatus": {line["user_activity"]},
        "userId": {person.autodesk_id},
        "versionId": {*versions},
    }
    for name, wanted in filters.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if not have[name] & set(values):
            return False
    return True
