"""Who and what exists in the sandbox: people, teams, companies, products, projects.

All of it follows from the seed and the scale; nothing here depends on the present date.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import random

EPOCH = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
"""Nothing in the sandbox is older than this."""

PEOPLE = 120
PROJECTS = 8
ALL_BEGUN_DAYS = 900
"""The projects begin within this time."""

_FIRST = (
    "Ada", "Bruno", "Chiara", "Dinesh", "Elif", "Farid", "Greta", "Hanne", "Ivo", "Jana", "Kenji",
    "Lena", "Milan", "Noor", "Olga", "Pavel", "Quinn", "Rosa", "Søren", "Tariq", "Uma", "Vera",
    "Wanda", "Xiu", "Yara", "Zoë",
)  # fmt: skip
_LAST = (
    "Aalto", "Berger", "Castell", "Duarte", "Eklund", "Fontane", "Grünwald", "Hale", "Ibsen",
    "Jarvis", "Kowal", "Lindqvist", "Marlowe", "Novak", "Okafor", "Petit", "Quist", "Rossi",
    "Sandoval", "Tanaka", "Ulrich", "Varga", "Winther", "Yilmaz", "Zeman",
)  # fmt: skip
_PLACES = ("Harbour Tower", "North Clinic", "Ring Tunnel", "Campus West", "Depot 4", "Old Mill")
_GROUPS = ("Design", "Structures", "MEP", "Site", "")
_ROLES = (
    "Architect", "BIM Manager", "Contractor", "Cost Engineer", "Document Manager", "Engineer",
    "Estimator", "Project Manager", "Surveyor", "VDC Manager",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Product:
    """A product as all three APIs name it; `tokens` is its price for one day."""

    offering: str
    name: str
    code: str
    feature: str
    tokens: int
    cloud: bool = False


PRODUCTS = (
    Product("Architecture Engineering & Construction Collection", "Revit", "AECCOL", "RVT", 10),
    Product("Architecture Engineering & Construction Collection", "AutoCAD", "AECCOL", "ACD", 7),
    Product("AutoCAD - including specialized toolsets", "AutoCAD", "ACDIST", "ACD", 7),
    Product("Civil 3D", "Civil 3D", "CIV3D", "CIV3D", 10),
    Product("Navisworks Manage", "Navisworks Manage", "NAVMAN", "NAVMAN", 8),
    Product("3ds Max", "3ds Max", "3DSMAX", "3DSMAX", 6),
    Product("Build", "Build", "BLDUNL", "BLDUNL", 3, cloud=True),
    Product("BIM Collaborate Pro", "BIM Collaborate Pro", "COLLRP", "COLLRP", 4, cloud=True),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Team:
    """An Insights team. In a team with `masked`, personal data are shown as five stars."""

    id: str
    alias: str
    benefits: tuple[str, ...]
    masked: bool = False

    @property
    def reports(self) -> bool:
        """Whether the team's data can be exported."""
        return "ReportingAPIAccess" in self.benefits


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """A user, known to all three APIs."""

    index: int
    id: str
    autodesk_id: str
    first_name: str
    last_name: str
    email: str
    team: int
    group: str
    company: int
    role: int
    joined: dt.datetime
    products: tuple[int, ...]

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def hashed_id(self) -> str:
        """The code that Insights shows for the Autodesk ID: 40 hexadecimal digits."""
        return hashlib.sha1(self.autodesk_id.encode(), usedforsecurity=False).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """A project of the Data Connector account; its first member is there from the beginning.

    `phase` is when it is built: the projects begin one after another, the archived ones first.
    """

    index: int
    id: str
    name: str
    status: str
    created: dt.datetime
    members: tuple[int, ...]
    phase: tuple[dt.datetime, dt.datetime]


class World:
    """Everything that exists, from a seed; `scale` multiplies people and rows."""

    def __init__(self, seed: int = 1, scale: float = 1.0, projects: int = PROJECTS) -> None:
        self.seed = seed
        self.scale = scale
        self.account_id = self.uuid("account")
        self.teams = _teams(self)
        self.companies = tuple(f"{name} GmbH & Co" for name in _LAST[:6])
        self.roles = _ROLES
        self.people = tuple(_person(self, i) for i in range(max(8, round(PEOPLE * scale))))
        self.projects = tuple(_project(self, i, projects) for i in range(projects))

    def random(self, *parts: object) -> random.Random:
        """Return the random numbers that belong to `parts`: always the same ones."""
        text = "/".join(str(part) for part in (self.seed, *parts))
        return random.Random(text)  # noqa: S311

    @functools.lru_cache(maxsize=200_000)  # noqa: B019
    def uuid(self, *parts: object) -> str:
        """Return the UUID that belongs to `parts`, lower case."""
        text = "/".join(str(part) for part in (self.seed, *parts))
        digits = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        return "-".join(
            (digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:])
        )

    def code(self, length: int, *parts: object) -> str:
        """Return `length` capital letters and digits that belong to `parts`."""
        letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
        return "".join(self.random("code", *parts).choices(letters, k=length))


def _teams(world: World) -> tuple[Team, ...]:
    number = 4_000_000 + world.seed * 10
    seats = ("ReportingFlexUsage", "ReportingSeatUsage", "InsightsTeam")
    access = ("ReportingAPIAccess", "ReportingAdvanced", *seats)
    return (
        Team(str(number), "Studio North", access),
        Team(str(number + 1), 'Studio South, "Annex"', access),
        Team(str(number + 2), "Bureau für Tragwerk", access, masked=True),
        Team(str(number + 3), "Team without reporting", seats),
    )


def _person(world: World, index: int) -> Person:
    rng = world.random("person", index)
    first = _FIRST[index % len(_FIRST)]
    last = _LAST[(index * 7 + index // len(_FIRST)) % len(_LAST)]
    mail = f"{first}.{last}{index}".lower().replace("ø", "o").replace("ü", "u").replace("ë", "e")
    late = rng.random() < 0.3  # noqa: PLR2004
    days = rng.randrange(1000) if late and index else 0
    joined = EPOCH + dt.timedelta(days=days, milliseconds=rng.randrange(1000))
    count = rng.choice((1, 1, 2, 2, 3))
    return Person(
        index=index,
        id=world.uuid("person", index),
        autodesk_id=world.code(16, "person", index),
        first_name=first,
        last_name=last,
        email=f"{mail}@example.com",
        team=index % 3,
        group=rng.choice(_GROUPS),
        company=rng.randrange(6),
        role=rng.randrange(len(_ROLES)),
        joined=joined,
        products=tuple(rng.sample(range(len(PRODUCTS)), count)),
    )


def _project(world: World, index: int, among: int) -> Project:
    rng = world.random("project", index)
    count = max(4, len(world.people) // 5)
    others = rng.sample(range(1, len(world.people)), min(count, len(world.people)) - 1)
    start = EPOCH + dt.timedelta(days=round(ALL_BEGUN_DAYS * (among - 1 - index) / among) - 60)
    return Project(
        index=index,
        id=world.uuid("project", index),
        name=f"{_PLACES[index % len(_PLACES)]} {index + 1}",
        status="archived" if index >= among - 2 else "active",
        created=EPOCH + dt.timedelta(hours=index, milliseconds=rng.randrange(1000)),
        members=(0, *sorted(others)),
        phase=(start, start + dt.timedelta(days=rng.randrange(420, 700))),
    )
