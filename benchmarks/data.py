"""The benchmark's input: made-up files of two shapes, the same bytes every time.

`narrow` is what an export of issues looks like: 17 columns, 370 bytes a row, with UUIDs,
timestamps, quoted texts with newlines, nulls and empty strings; its key is its first column. `wide`
has 120 columns, most of them null, as the widest tables of a Data Connector extract do, and no key.
"""

from __future__ import annotations

import itertools
import random
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.tables import Column, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FOLDER = Path(__file__).parent.parent / ".benchmarks"
_BLOCK = 10_000

NARROW = TableSchema(
    (
        Column("id"),
        Column("bim360_account_id"),
        Column("bim360_project_id"),
        Column("display_id", Type.NUMBER),
        Column("title"),
        Column("description"),
        Column("status"),
        Column("assignee_id"),
        Column("assignee_type"),
        Column("due_date", Type.DATE),
        Column("location_description"),
        Column("amount", Type.NUMBER),
        Column("published", Type.BOOLEAN),
        Column("created_by"),
        Column("created_at", Type.TIMESTAMP),
        Column("updated_at", Type.TIMESTAMP),
        Column("closed_at", Type.TIMESTAMP),
    ),
    key=("id",),
)
_WIDTH = 120
_WIDE_TYPES = (Type.STRING, Type.STRING, Type.NUMBER, Type.BOOLEAN, Type.TIMESTAMP, Type.DATE)
WIDE = TableSchema(tuple(Column(f"column_{at:03}", _WIDE_TYPES[at % 6]) for at in range(_WIDTH)))


def file_of(shape: str, rows: int) -> tuple[Path, TableSchema]:
    """Return the CSV file of a shape, made on first use, and its layout."""
    layout, row = {"narrow": (NARROW, _narrow), "wide": (WIDE, _wide)}[shape]
    path = FOLDER / f"{shape}-{rows}.csv"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / ".gitignore").write_text("*\n")
        _write(path, layout, rows, row)
    return path, layout


def write_table(path: Path, table: Mapping[str, Any], rows: int) -> int:
    """Write a table of the registry, all cells filled, its key unique; return its size in bytes."""
    makers = {"number": _amount, "boolean": _flag, "timestamp: SQL": _time, "string: UUID": _id}
    columns = [makers.get(type_, _word) for type_ in table["columns"].values()]
    chance = random.Random(20260212)  # noqa: S311
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(",".join(table["columns"]) + "\n")
        for _ in range(rows):
            file.write(",".join(maker(chance) for maker in columns) + "\n")
    return path.stat().st_size


def _write(
    path: Path, layout: TableSchema, rows: int, row: Callable[[random.Random, int], str]
) -> None:
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(",".join(column.name for column in layout.columns) + "\n")
        for block in _blocks(rows, row):
            file.write(block)
    unfinished.rename(path)


def _blocks(rows: int, row: Callable[[random.Random, int], str]) -> Iterator[str]:
    chance = random.Random(20260212)  # noqa: S311
    for start in range(0, rows, _BLOCK):
        yield "".join(row(chance, at) for at in range(start, min(start + _BLOCK, rows)))


def _narrow(chance: random.Random, at: int) -> str:
    title = f"Door {chance.randrange(1000)} does not close"
    text = ("", '""', '"Seen on site,\nto be checked ""today"""', "As agreed with the contractor")
    return (
        f"{_id(chance)},{_ACCOUNT},{_PROJECTS[at % 40]},{at % 5000},{title},"
        f"{text[chance.randrange(4)]},{('open', 'closed', 'in_review')[at % 3]},"
        f"{_id(chance)},user,{_day(chance)},Level {at % 12},{chance.randrange(10**7) / 100},"
        f"{'tf'[at % 2]},{_id(chance)},{_time(chance)},{_time(chance)},"
        f"{_time(chance) if at % 3 == 1 else ''}\n"
    )


def _wide(chance: random.Random, at: int) -> str:
    makers = (_id, _word, _amount, _flag, _time, _day)
    return (
        ",".join(
            maker(chance) if column < len(makers) or (at + column) % 5 == 0 else ""
            for column, maker in zip(range(_WIDTH), itertools.cycle(makers), strict=False)
        )
        + "\n"
    )


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128)))


def _word(chance: random.Random) -> str:
    return chance.choice(("Concrete", "Structural steel", "Électricité", "HVAC", "配管"))


def _amount(chance: random.Random) -> str:
    return str(chance.randrange(10**6) / 10)


def _flag(chance: random.Random) -> str:
    return chance.choice("tf")


def _day(chance: random.Random) -> str:
    return f"20{chance.randrange(20, 27)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"


def _time(chance: random.Random) -> str:
    clock = f"{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"
    fraction = str(chance.randrange(10**6)).rstrip("0")
    return f"{_day(chance)} {clock}{'.' + fraction.zfill(6)[:6].rstrip('0') if fraction else ''}"


_ACCOUNT = str(uuid.UUID(int=7))
_PROJECTS = [str(uuid.UUID(int=random.Random(at).getrandbits(128))) for at in range(40)]  # noqa: S311
