"""What the marts must say, from what the sandbox knows: its people, tokens and lives of rows.

Nothing here reads what was exported or loaded.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.data.habits import habits, last_sign_in
from tap_autodesk_exports.sandbox.data.reports import Reports, Scope
from tap_autodesk_exports.sandbox.data.rows import Snapshot
from tap_autodesk_exports.sandbox.data.tokens import Tokens
from tap_autodesk_exports.sandbox.data.usage import Usage
from tap_autodesk_exports.sandbox.data.world import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_autodesk_exports.sandbox import Sandbox
    from tap_autodesk_exports.sandbox.data.tokens import Charge
    from tap_autodesk_exports.sandbox.data.usage import Use
    from tap_autodesk_exports.sandbox.data.world import Person, Team

OVER = {"closed", "not_approved"}


class Truth:
    """What is true of a sandbox at a moment, of the time since `start`."""

    def __init__(self, sandbox: Sandbox, start: dt.date, now: dt.datetime) -> None:
        self.sandbox = sandbox
        self.start = start
        self.now = now
        self.today = now.date()
        self.world = sandbox._services.world
        self.habits = habits(self.world)
        self.teams = {i: team for i, team in enumerate(self.world.teams) if team.reports}
        self.uses = list(Usage(self.world).between(start, self.today, now))
        self.tokens = Tokens(self.world)
        self.contract = self.tokens.contracts[1]
        self.year = self.contract.year_of(self.today)
        self.tables = sandbox.data_connector.tables[sandbox.account_id]

    # People.

    def person(self, person: Person) -> str:
        """Return how Insights lets a person be known."""
        return person.hashed_id if self.teams[person.team].masked else person.email

    def members(self, team: Team) -> Iterator[Person]:
        for person in self.world.people:
            if self.teams.get(person.team) is team and person.joined <= self.now:
                yield person

    def offerings(self, person: Person) -> set[str]:
        return {PRODUCTS[product].offering for product in person.products}

    def seats(self) -> dict[tuple[str, str, str], dt.date | None]:
        """Return who has an assigned seat: (team, person, offering) -> last day of use."""
        found: dict[tuple[str, str, str], dt.date | None] = {}
        for team in self.teams.values():
            for person in self.members(team):
                habit = self.habits[person.index]
                for offering in self.offerings(person) - habit.by_tokens:
                    taken = habit.unassigned.get(offering)
                    if taken is None or taken > self.today:
                        days = [
                            use.day
                            for use in self.uses
                            if use.person is person and use.product.offering == offering
                        ]
                        found[team.id, self.person(person), offering] = max(days, default=None)
        return found

    # Insights.

    def seat_use(self) -> dict[tuple[str, str, dt.date], tuple[int, int]]:
        """Return (team, offering, month) -> people, and people of the busiest day."""
        people: dict[Any, set[int]] = defaultdict(set)
        by_day: dict[Any, dict[dt.date, set[int]]] = defaultdict(lambda: defaultdict(set))
        for use in self.uses:
            if not use.flex and use.person.team in self.teams:
                team = self.teams[use.person.team].id
                key = (team, use.product.offering, use.day.replace(day=1))
                people[key].add(use.person.index)
                by_day[key][use.day].add(use.person.index)
        return {
            key: (len(found), max(len(day) for day in by_day[key].values()))
            for key, found in people.items()
        }

    def seats_bought(self) -> Counter[tuple[str, str]]:
        """Return (team, offering) -> seats now."""
        reports = Reports(self.world, self.sandbox.names)
        found: Counter[tuple[str, str]] = Counter()
        for team in self.teams.values():
            for line in reports.lines("SUBSCRIPTIONS", Scope([team], self.now)):
                assert line["start_date"] <= self.now <= line["end_date"] + dt.timedelta(days=1)
                found[team.id, str(line["offering_name"])] += line["seat_quantity"]
        return found

    def versions(self) -> dict[tuple[str, str, dt.date], tuple[int, int, int, int]]:
        """Return (product, version, month) -> people, by Insights, by Token Flex, days."""
        insights, tokenflex, days = defaultdict(set), defaultdict(set), defaultdict(set)
        for use in self.uses:
            if use.person.team in self.teams:
                key = (use.product.name, use.version or "none", use.day.replace(day=1))
                insights[key].add(self.person(use.person))
                days[key].add((self.person(use.person), use.day))
        for charge in self.charges({"DESKTOP_PRODUCT"}):
            item = charge.fields
            key = (item["productName"], item["productVersion"], charge.day.replace(day=1))
            tokenflex[key].add(item["userName"])
            days[key].add((item["userName"], charge.day))
        return {
            key: (len(insights[key] | tokenflex[key]), len(insights[key]), len(tokenflex[key]),
                  len(days[key]))
            for key in insights.keys() | tokenflex.keys()
        }  # fmt: skip

    def use_by_offering(self) -> dict[tuple[str, str], list[Use]]:
        """Return (person, offering) -> uses within 365 days."""
        found = defaultdict(list)
        for use in self.uses:
            if use.person.team in self.teams and use.day > self.today - dt.timedelta(days=365):
                found[self.person(use.person), use.product.offering].append(use)
        return found

    # Token Flex.

    def charges(self, categories: set[str] | None = None) -> list[Charge]:
        """Return the charges that the streams hold: usage since the start, manual ones of years."""
        found = []
        for year in range(1, self.year + 1):
            first, last = self.contract.year(year)
            for charge in self.tokens.charges(self.contract, first, last, self.now):
                manual = charge.category.startswith("MANUAL")
                if (manual or charge.day >= self.start) and (
                    categories is None or charge.category in categories
                ):
                    found.append(charge)
        return found

    def amount(self, charge: Charge) -> float:
        return float(charge.at(self.now)["tokensConsumed"])

    def tokens_left(self, day: dt.date) -> float:
        """Return what is left of the present contract year at the end of a day."""
        first, _ = self.contract.year(self.year)
        used = self.tokens.charges(self.contract, first, day, self.now)
        return self.tokens.provisioned() - sum(map(self.amount, used))

    def peaks(self) -> dict[tuple[str, int, int], int]:
        """Return (product, weekday, hour) -> most sessions at once, by the clock of most."""
        spans = defaultdict(list)
        offsets: Counter[dt.timedelta] = Counter()
        for charge in self.charges({"DESKTOP_PRODUCT"}):
            item = charge.fields
            hours, minutes = str(item["licenseServerTimeZoneOffset"]).split(":")
            offset = dt.timedelta(hours=int(hours), minutes=int(minutes))
            offsets[offset] += 1
            begin, end = (
                dt.datetime.fromisoformat(str(item[name])) - offset
                for name in ("sessionStartDate", "sessionEndDate")
            )
            spans[str(item["productName"])].append((begin, end))
        clock = offsets.most_common(1)[0][0]
        found: dict[tuple[str, int, int], int] = defaultdict(int)
        for product, sessions in spans.items():
            for begin, end in sessions:
                hour = (begin + clock).replace(minute=0, second=0)
                while hour < end + clock:
                    # The most are open as one of them begins, or as the hour does.
                    starts = [max(b + clock, hour) for b, e in sessions
                              if b + clock < hour + HOUR and e + clock > hour]  # fmt: skip
                    most = max(
                        sum(b + clock <= at < e + clock for b, e in sessions) for at in starts
                    )
                    key = (product, hour.isoweekday(), hour.hour)
                    found[key] = max(found[key], most)
                    hour += HOUR
        return found

    # Data Connector.

    def rows(self, table: str, at: dt.datetime | None = None) -> list[dict[str, Any]]:
        """Return the rows of a table as an extract of a moment would have them."""
        columns = list(self.tables.registry[table].columns)
        rows = self.tables.rows(table, Snapshot(at or self.now))
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def backlog(self, at: dt.datetime) -> dict[str, tuple[int, int]]:
        """Return project -> open and overdue issues, by an extract of that moment."""
        found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for row in self.rows("issues_issues", at):
            if row["status"] in {"open", "in_review", "pending"} and not row["deleted_at"]:
                due = row["due_date"] and dt.datetime.fromisoformat(f"{row['due_date']}+00:00")
                opened, late = found[row["bim360_project_id"]]
                found[row["bim360_project_id"]] = (opened + 1, late + bool(due and due < at))
        return found

    def lives(self, table: str) -> Iterator[tuple[str, list[tuple[str, dt.datetime]], Any]]:
        """Yield what happened to each row: its project, its states, and the row as it is now."""
        rows = {row["id"]: row for row in self.rows(table)}
        for index in range(self.tables.count(table, self.now) + 1):
            life = self.tables.life(table, index)
            row = rows.get(self.tables.identity(table, "id", index))
            if row is not None:
                moments = self.tables._stories._moments(table, index, life.created)
                happened = [(state, at) for state, at in moments if at <= self.now]
                yield self.world.projects[life.project].id, happened, row

    def projects(self, person: Person) -> int:
        """Return of how many active projects a person is a member."""
        return sum(
            project.status == "active"
            and person.index in project.members
            and person.joined <= self.now
            for project in self.world.projects
        )

    def last_sign_in(self, person: Person) -> dt.date | None:
        seen = last_sign_in(self.world, person, self.now)
        return seen.date() if seen else None


HOUR = dt.timedelta(hours=1)


def largest(values: list[Any]) -> Any:
    """Return the largest of values, of which some may be None."""
    return max((value for value in values if value is not None), default=None)
