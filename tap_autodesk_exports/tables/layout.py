"""The columns of a table: what the catalog knows, the file's header, the stream's JSON schema."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables.numbers import DECIMAL, ParquetNumbers
from tap_autodesk_exports.tables.spelling import is_name, same_letters
from tap_autodesk_exports.tables.types import DETAILS, Column, Type, json_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.tables.hashing import Hashing

    KeyPart = str | tuple[str, ...]
    """A column of a key, or several of which the first with a value counts."""

EXPORT_ID, EXPORTED_AT = "_export_id", "_exported_at"
RESCUED_DATA, ROW_ID = "_rescued_data", "_row_id"
PROVENANCE: dict[str, dict[str, Any]] = {
    EXPORT_ID: {"type": ["string"]},
    EXPORTED_AT: {"type": ["string"], "format": "date-time"},
    RESCUED_DATA: {"type": ["string", "null"]},
    ROW_ID: {"type": ["string"], "maxLength": 32},
}
"""The columns that every exported row carries in addition to those of its file."""


@dataclasses.dataclass(frozen=True)
class TableSchema:
    """What the catalog knows of a file."""

    columns: tuple[Column, ...]
    """The columns in order. The file may hold them in another order, lack some and have more."""
    key: tuple[KeyPart, ...] = ()
    """Names of the natural key, from which `_row_id` is made; may name constants. Of several names
    in one part, the first with a value counts (see `alternatives`). Empty: all `columns`."""
    constants: Mapping[str, tuple[Type, str | None]] = dataclasses.field(default_factory=dict)
    """Columns with one value for the whole file, such as a team: its type and its text."""
    rename: Callable[[str], str] = str
    """From a name in the header to the name of a column; two spellings may give one name."""
    unique: bool = False
    """Whether `key` is the key of the table: equal rows are one, different ones an error."""
    newest: tuple[tuple[str, ...], ...] = ()
    """With `unique`: the columns that tell versions of a row apart; the newest one counts. Of
    several in one part, the latest value of a row counts; a part decides where those before it,
    as far as the file has them, do not."""
    copies: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Those of `columns` that are in no file and repeat another one: name -> name of that one."""
    numbers: ParquetNumbers = DECIMAL
    """How Parquet files hold number columns."""
    hashing: Hashing | None = None
    """Which values are replaced by a hash; `_row_id` is made from the values themselves."""

    @functools.cached_property
    def emitted(self) -> tuple[Column, ...]:
        """All columns of a record, in order."""
        return (
            *self.columns,
            *(Column(name, type_) for name, (type_, _) in self.constants.items()),
            Column(EXPORT_ID),
            Column(EXPORTED_AT, Type.TIMESTAMP),
            Column(RESCUED_DATA),
            Column(ROW_ID),
        )

    @functools.cached_property
    def types(self) -> dict[str, Type]:
        """The type of every column of a record."""
        return {column.name: column.type for column in self.emitted}

    def is_hashed(self, name: str) -> bool:
        """Tell whether the values of a column, known or not, are hashed.

        So are those of one that is only spelled otherwise than a hashed one.
        """
        if self.hashing is None:
            return False
        return self.hashing.hides(name) or same_letters(name.partition("#")[0]) in self._hashed

    @functools.cached_property
    def _hashed(self) -> frozenset[str]:
        """The letters of the hashed columns."""
        applies = self.hashing.applies if self.hashing else bool
        return frozenset(same_letters(name) for name in self.types if applies(name))

    @functools.cached_property
    def natural_key(self) -> tuple[KeyPart, ...]:
        """The parts that make up `_row_id`."""
        return self.key or tuple(column.name for column in self.columns)

    @functools.cached_property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of all parts of the key."""
        parts = [(part,) if isinstance(part, str) else part for part in self.natural_key]
        return tuple(name for part in parts for name in part)


@dataclasses.dataclass(frozen=True)
class HeaderMatch:
    """Which cell of a row (c0, c1, …) belongs to which name.

    The cells of very many unknown columns are folded into one, the last, when the file is
    rewritten: thousands of columns take hundreds of megabytes in the database.
    """

    names: tuple[str, ...]
    """The name of every cell of the file, in order."""
    known: Mapping[str, str]
    """Columns of the schema."""
    unknown: Mapping[str, str]
    """The others, unless they are folded."""
    rest: str | None = None
    """The cell with all unknown columns, where they are folded: members of a JSON object."""
    kept: tuple[int, ...] = ()
    """Positions of the cells that are not folded, where some are."""
    is_doubtful: bool = False
    """Whether columns are hashed, and names in the header may be values of them."""

    @property
    def others(self) -> list[str]:
        """The cells that belong to no column of the schema."""
        return [*self.unknown.values(), *([self.rest] if self.rest else [])]

    @property
    def width(self) -> int:
        """How many cells a row has in the database."""
        return len(self.kept) + 1 if self.rest else len(self.names)

    @functools.cached_property
    def folded(self) -> list[int]:
        """Positions of the cells that are folded."""
        return (
            [at for at in range(len(self.names)) if at not in set(self.kept)] if self.rest else []
        )


MOST_UNKNOWN = 100
"""Unknown columns up to which each has a cell in the database."""


def match_header(path: Path, header: Sequence[str], schema: TableSchema) -> HeaderMatch:
    """Find the schema's columns in a header.

    A name that comes again is an unknown column `name#2`; a column without a name is
    `column_<position>`, counted from 1. So is one without the looks of a name where columns are
    hashed: it may be a value of one, in a damaged file.

    Raises:
        FileError: The header has none of the schema's columns: this is another file. Or columns are
            hashed, and an e-mail address is in the place of a name.
    """
    wanted = {column.name for column in schema.columns}
    known: dict[str, int] = {}
    unknown: dict[str, int] = {}
    repeated: dict[str, int] = {}
    names = []
    withheld = 0
    for at, raw in enumerate(header):
        name = schema.rename(raw) if raw else f"column_{at + 1}"
        if name not in wanted and _may_be_a_value(path, raw, schema):
            withheld += 1
            name = _withheld(name, f"column_{at + 1}", schema)
        unique = name
        if name in wanted and name not in known:
            known[name] = at
        else:
            while unique in known or unique in unknown:
                repeated[name] = repeated.get(name, 1) + 1
                unique = f"{name}#{repeated[name]}"
            unknown[unique] = at
        names.append(unique)
    if wanted and not known:
        raise FileError(path, _strange(header, schema))
    is_doubtful = schema.hashing is not None and bool(withheld or len(unknown) >= len(known))
    rest = None
    kept: tuple[int, ...] = ()
    if len(unknown) > MOST_UNKNOWN:
        kept = tuple(sorted(known.values()))
        known = {name: kept.index(at) for name, at in known.items()}
        unknown, rest = {}, f"c{len(kept)}"
    known |= {copy: known[name] for copy, name in schema.copies.items() if name in known}
    return HeaderMatch(
        tuple(names),
        {name: f"c{at}" for name, at in known.items()},
        {name: f"c{at}" for name, at in unknown.items()},
        rest,
        kept,
        is_doubtful,
    )


def _may_be_a_value(path: Path, raw: str, schema: TableSchema) -> bool:
    """Tell whether what stands in a header may be a value that must not be seen.

    Raises:
        FileError: It is an e-mail address: a row was joined to the header, or is in its place, so
            that nobody can say which values belong to which column.
    """
    if schema.hashing is None or not raw:
        return False
    if "@" in raw:
        problem = (
            "has an e-mail address in its header, as if a row were joined to it. Nothing of it is "
            "loaded, because it is not clear what is to be hashed; request a new export."
        )
        raise FileError(path, problem)
    return not is_name(raw)


def _withheld(name: str, neutral: str, schema: TableSchema) -> str:
    """Return the neutral name, unless the values are hashed under their own one alone."""
    return name if schema.is_hashed(name) and not schema.is_hashed(neutral) else neutral


def _strange(header: Sequence[str], schema: TableSchema) -> str:
    """Say that a header has no expected column: what is there may be a row, or words."""
    expected = f"has none of the expected columns ({_some(sorted(map(_name, schema.columns)))})"
    # A row in place of the header may hold what must not be shown.
    is_shown = not schema.hashing and not any("@" in name for name in header)
    shown = _some(header) if is_shown else "not shown, as it may hold personal data"
    if len(header) == 1 and " " in header[0].strip():
        return f"holds words in place of a table: {shown}. It {expected}; request a new export."
    return f"{expected}; its header is {shown}."


def _name(column: Column) -> str:
    return column.name


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:60]}'" for name in names[:5])
    return shown + (", …" if len(names) > 5 else "")  # noqa: PLR2004


def type_of(schema: Mapping[str, Any]) -> Type:
    """Return the type that a column's JSON schema asks for; text where it asks for none of ours."""
    names = schema.get("type", "string")
    names = {names} if isinstance(names, str) else set(names)
    for type_ in (Type.NUMBER, Type.INTEGER, Type.BOOLEAN):
        if type_.value in names:
            return type_
    for type_ in (Type.UUID, Type.DATE, Type.TIME, Type.TIME_TEXT, Type.TIMESTAMP):
        if all(schema.get(key) == wanted for key, wanted in DETAILS[type_].items()):
            return type_
    return Type.STRING


def export_schema(
    columns: Mapping[str, Type],
    constants: Mapping[str, Type] | None = None,
    *,
    times_as_text: bool = True,
) -> dict[str, Any]:
    """Return the schema of an exported stream.

    Args:
        columns: Columns of the file.
        constants: Columns that are the same for all rows of an export.
        times_as_text: Whether a time of day has no `format`. Some targets fail at one (observed).
    """
    properties: dict[str, Any] = {
        name: json_schema(Type.TIME_TEXT if times_as_text and type_ is Type.TIME else type_)
        for name, type_ in {**(constants or {}), **columns}.items()
    }
    return {"type": "object", "properties": properties | PROVENANCE}
