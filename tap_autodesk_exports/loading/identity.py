"""What the keys of a dataset's rows are made of: kept in the state, so that no change goes unseen.

A target replaces rows by their key. Where that is made of something else than before, such as of
hashes in place of addresses, each row would be there twice: under its old key and under its new
one. Then the whole table is loaded again as a new version, which removes the old one, or nothing
of it is loaded.

The mark is a text in each bookmark: the key, then each of its parts. Of a part that has
alternatives, such as a person, it names those by which rows were identified, and it says which
parts the files lacked, or that no file with rows was there yet:
`_row_id 1; team_id; hashed_autodesk_id|email; version absent; product_name unseen`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.tables.alternatives import NOTHING
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tap_autodesk_exports.tables.layout import TableSchema

RECIPE = "_row_id 1"
"""First part of a mark whose key is `_row_id`; the number is that of how it is made."""
OWN_KEY = "key"
"""First part of a mark whose key is columns of the source."""
CHANGED = "changed"
"""A mark that no identity has: the next run loads the whole table again."""
HASHED = " hashed "
ABSENT = " absent"
"""Follows a part of the key that files lack, so that it is null in the keys."""
UNSEEN = " unseen"
"""Follows a part of the key while there was no row, so that files may have it or lack it."""
_SAME_FORM = {"UUID": "string", "integer": "number", "time as text": "time"}
"""Types whose values are written as those of another type."""


class IdentityChanged(ConfigurationError):
    """The keys of a dataset's rows are made of something else than those that were loaded."""

    def __init__(self, why: str, *, will_replace: bool = False) -> None:
        what_to_do = (
            "The next run loads the whole table again, and replaces it."
            if will_replace
            else "Empty its table and run once without its state (`meltano run --full-refresh`), "
            "or set 'emit_activate_version_messages: true', so that the tap replaces the table."
        )
        super().__init__(
            f"Rows that were loaded before would be there twice, under other keys, because {why}; "
            f"so nothing is loaded. {what_to_do}"
        )


@dataclasses.dataclass(frozen=True)
class Identity:
    """What the keys of rows are made of.

    Attributes:
        kind: `RECIPE` or `OWN_KEY`.
        parts: The parts of the key, each with its alternatives in the order in which they are
            tried; most have one.
    """

    kind: str
    parts: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, schema: TableSchema) -> Identity:
        """Return what the keys of a table's rows are made of."""
        kind = OWN_KEY if schema.unique else RECIPE
        parts = [(part,) if isinstance(part, str) else part for part in schema.natural_key]
        return cls(kind, tuple(tuple(_named(name, schema) for name in part) for part in parts))

    def mark(
        self,
        used: Sequence[Sequence[str]] = (),
        before: str | None = None,
        absent: Collection[str] | None = None,
    ) -> str:
        """Return the mark.

        Args:
            used: For each part with alternatives, in order, the names of those by which rows were
                identified.
            before: The mark so far, whose alternatives stay.
            absent: Parts that the file lacks; None where there was no row to look at.
        """
        earlier = _parts(before) if before and not self.differs_from(before) else []
        found = iter(used)
        parts = []
        for at, part in enumerate(self.parts, start=1):
            if len(part) == 1:
                known_before = at < len(earlier) and absent is None
                parts.append(earlier[at][0] if known_before else _with_absence(part[0], absent))
                continue
            names = {*next(found, ()), *map(_bare, earlier[at] if at < len(earlier) else ())}
            known = [each for each in (*part, NOTHING) if _bare(each) in names]
            parts.append("|".join(known))
        return "; ".join([self.kind, *parts])

    def mark_of_any(self) -> str:
        """Return the mark of rows that may be identified by each of the alternatives."""
        return self.mark([[*map(_bare, part)] for part in self.parts if len(part) > 1])

    def differs_from(self, mark: str) -> str | None:
        """Return why rows get other keys than those of a mark, as a clause; None where they do not.

        An alternative by which no row was identified may change.
        """
        kind, *before = _parts(mark)
        if kind != (self.kind,):
            return "the key is made in another way"
        if len(before) != len(self.parts):
            return "the key is made of other columns"
        for earlier, now in zip(before, self.parts, strict=True):
            for each in earlier:
                name = each.removesuffix(ABSENT).removesuffix(UNSEEN)
                if name in now or name == NOTHING:
                    continue
                if _bare(name) in map(_bare, now):
                    return (
                        f"'{_bare(name)}' is part of the key and is hashed otherwise than before "
                        "('hash_columns', 'hash_personal_data', 'hash_key')"
                        if HASHED in name or any(HASHED in other for other in now)
                        else f"'{_bare(name)}' is part of the key and has another type"
                    )
                return f"the key is not made of '{_bare(name)}' any more"
            if len(now) == 1 and not earlier:
                return f"the key is made of '{_bare(now[0])}' as well"
        return None

    def is_replaced_by(
        self, used: Sequence[Sequence[str]], mark: str, absent: Collection[str] | None = None
    ) -> str | None:
        """Return why a file's rows get other keys than those of a mark; None where they do not.

        Args:
            used: As in `mark`, of the file.
            mark: The mark.
            absent: As in `mark`, of the file.
        """
        _, *before = _parts(mark)
        found = iter(used)
        for earlier, now in zip(before, self.parts, strict=True):
            if len(now) == 1:
                if absent is None or not earlier or earlier[0].endswith(UNSEEN):
                    continue
                was_absent = earlier[0].endswith(ABSENT)
                name = _bare(now[0])
                if was_absent and name not in absent:
                    return f"'{name}' is part of the key and is in this file, and was not before"
                if not was_absent and name in absent:
                    return f"'{name}' is part of the key and is not in this file, and was before"
                continue
            names = set(next(found, ()))
            known = set(map(_bare, earlier))
            if names and known and not names & known:
                return (
                    f"rows are identified by {_listed(names)} in this file, and were by "
                    f"{_listed(known)} before"
                )
        return None


def is_of_no_row(mark: str | None) -> bool:
    """Tell whether a mark says that no file with rows was there yet."""
    _, *parts = _parts(mark or "")
    return bool(parts) and all(not part or part[0].endswith(UNSEEN) for part in parts)


def _named(name: str, schema: TableSchema) -> str:
    """Return a column's name with what else of it a key depends on."""
    if schema.is_hashed(name) and schema.hashing:
        return f"{name}{HASHED}{schema.hashing.of(name)[:8]}"
    # The same text in a column of another type is another value in the JSON that is hashed.
    type_ = schema.types.get(name, Type.STRING).value
    form = _SAME_FORM.get(type_, type_)
    return name if schema.unique or form == Type.STRING else f"{name}:{form}"


def _with_absence(part: str, absent: Collection[str] | None) -> str:
    if absent is None:
        return f"{part}{UNSEEN}"
    return f"{part}{ABSENT}" if _bare(part) in absent else part


def _bare(part: str) -> str:
    return part.removesuffix(ABSENT).removesuffix(UNSEEN).partition(HASHED)[0].partition(":")[0]


def _parts(mark: str) -> list[tuple[str, ...]]:
    return [tuple(filter(None, part.split("|"))) for part in mark.split("; ")]


def _listed(names: set[str]) -> str:
    return " and ".join(f"'{name}'" for name in sorted(names))
