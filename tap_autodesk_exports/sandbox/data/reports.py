"""The four Insights reports as tables.

Columns: SUBSCRIPTIONS and USAGE_REPORT as in real files (observed), USERS and USAGE as the help
pages list them (documented names, assumed order). `TITLES` holds the second spelling that the help
pages announce; a column that is not in it keeps its name.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.data.usage import Usage
from tap_autodesk_exports.sandbox.data.world import EPOCH, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

TITLES = {
    "SUBSCRIPTIONS": {"team_alias": "Team"},
    "USERS": {
        "autodesk_id": "Autodesk ID", "email": "Email", "product_name": "Feature",
        "first_name": "First name", "last_name": "Last name", "offering_name": "Product",
        "role": "Role", "team_alias": "Team", "account_status": "Account status",
    },
    "USAGE": {
        "access_option": "Access option", "day_used": "Day used", "team_alias": "Team",
        "email": "Email", "first_name": "First name", "last_name": "Last name",
    },
    "USAGE_REPORT": {
        "access_option": "Access option", "assigned_date": "Assigned date",
        "days_inactive": "Days inactive", "days_used": "Days used", "email": "Email",
        "first_name": "First name", "group": "Group", "last_accessed": "Last accessed",
        "last_name": "Last name", "monthly_average": "Monthly average", "offering_name": "Product",
        "seat_assignment": "Seat assignment", "team_alias": "Team", "tokens_used": "Tokens used",
        "unassigned_date": "Unassigned date", "user_activity": "User activity",
        "version": "Version",
    },
}  # fmt: skip


class Reports:
    """The reports of a world's teams."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.usage = Usage(world)

    def rows(
        self,
        report: str,
        teams: list[Team],
        period: tuple[dt.datetime, dt.datetime] | None,
        filters: Mapping[str, Any],
        now: dt.datetime,
    ) -> Iterator[list[Value]]:
        """Yield the rows of a report, values in the order of `COLUMNS`.

        Args:
            report: One of the four report names.
            teams: The teams to report on.
            period: Usage dates, both inclusive (documented for USAGE_REPORT, assumed for USAGE).
            filters: Of USAGE_REPORT, as documented.
            now: What is not known yet is left out.
        """
        people = {team.id: self._members(team, now) for team in teams}
        match report:
            case "SUBSCRIPTIONS":
                lines: Iterator[Line] = (
                    line for team in teams for line in self._subscriptions(team, now)
                )
            case "USERS":
                lines = (line for team in teams for line in self._users(team, people[team.id]))
            case "USAGE":
                lines = self._daily(teams, period, now)
            case _:
                lines = self._by_product(teams, period, filters, now)
        for line in lines:
            yield [line.get(column) for column in COLUMNS[report]]

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
                "team_alias": team.alias,
                "offering_name": product.offering,
                "contract_number": f"{110_000_000_000 + rng.randrange(10**9)}",
                "subscription_id": f"574-{rng.randrange(10**8):08}" if number else None,
                "term": f"{years} Year{'s' if years > 1 else ''}",
                "start_date": start,
                "end_date": start + dt.timedelta(days=365 * years - 1),
                "autorenew_date": start + dt.timedelta(days=365 * years - 30)
                if number % 3
                else None,
                "subscription_status": "Active",
                "seat_quantity": rng.randrange(1, 40),
                "reseller_email": "orders@example.com" if number % 2 else None,
                "reseller_name": "Reseller, Example" if number % 2 else "Autodesk Inc",
            }

    def _users(self, team: Team, people: list[Person]) -> Iterator[Line]:
        for person in people:
            for product in person.products:
                yield {
                    **_who(person, team),
                    "offering_name": PRODUCTS[product].offering,
                    "product_name": PRODUCTS[product].name,
                    "role": "Primary admin" if person.index < len(self._world.teams) else "User",
                    "account_status": "Active",
                }

    def _uses(
        self, teams: list[Team], period: tuple[dt.datetime, dt.datetime] | None, now: dt.datetime
    ) -> Iterator[tuple[Team, Use]]:
        if period is None:
            return
        wanted = {self._world.teams.index(team): team for team in teams}
        for use in self.usage.between(_first_day(period[0]), period[1].date(), now):
            if team := wanted.get(use.person.team):
                yield team, use

    def _daily(
        self, teams: list[Team], period: tuple[dt.datetime, dt.datetime] | None, now: dt.datetime
    ) -> Iterator[Line]:
        for team, use in self._uses(teams, period, now):
            yield {
                **_who(use.person, team),
                "offering_name": use.product.offering,
                "product_name": use.product.name,
                "version": use.version or None,
                "day_used": use.day,
                "access_option": "Flex" if use.flex else "Subscription",
            }

    def _by_product(
        self,
        teams: list[Team],
        period: tuple[dt.datetime, dt.datetime] | None,
        filters: Mapping[str, Any],
        now: dt.datetime,
    ) -> Iterator[Line]:
        """Yield one row per user and offering, also for those who used nothing."""
        if period is None:
            return
        uses: dict[tuple[int, str], list[Use]] = {}
        for _, use in self._uses(teams, period, now):
            uses.setdefault((use.person.index, use.product.offering), []).append(use)
        for team in teams:
            for person in self._members(team, now):
                for offering in dict.fromkeys(PRODUCTS[p].offering for p in person.products):
                    found = uses.get((person.index, offering), [])
                    line = _summary(person, team, offering, found, period)
                    if _passes(line, person, offering, filters):
                        yield line


def _first_day(start: dt.datetime) -> dt.date:
    """Return the first day whose midnight is not before `start` (documented: date >= start)."""
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return start.date() if midnight == start else start.date() + dt.timedelta(days=1)


def _who(person: Person, team: Team) -> Line:
    shown = (person.autodesk_id, person.email, person.first_name, person.last_name)
    autodesk_id, email, first_name, last_name = (MASK,) * 4 if team.masked else shown
    return {
        "team_alias": team.alias,
        "hashed_autodesk_id": person.hashed_id,
        "autodesk_id": autodesk_id,
        "email": email,
        "first_name": first_name,
        "last_name": last_name,
    }


def _summary(
    person: Person,
    team: Team,
    offering: str,
    uses: list[Use],
    period: tuple[dt.datetime, dt.datetime],
) -> Line:
    days = {use.day for use in uses}
    flex = any(use.flex for use in uses)
    months = max(1.0, (period[1] - period[0]).days / 30.4)
    last = max(days, default=None)
    inactive = (period[1].date() - last).days if last else None
    assigned = (person.index + len(offering)) % 9 != 0
    versions = Counter(use.version for use in uses if use.version)
    return {
        **_who(person, team),
        "group": person.group or None,
        "offering_name": offering,
        "version": ",".join(sorted(versions)) or None,
        "seat_assignment": "assigned" if assigned else "unassigned",
        "assigned_date": f"{person.joined:%Y-%m-%dT%H:%M:%SZ}",
        "unassigned_date": None if assigned else f"{person.joined:%Y-%m-%dT23:59:59Z}",
        "user_activity": "inactive" if inactive is None or inactive > INACTIVE_DAYS else "active",
        "days_inactive": inactive,
        "access_option": "Flex" if flex else "Subscription",
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
