"""What the text of a cell becomes: SQL for each type.

`typed` yields the canonical text of a value, or NULL where the text does not fit the type. It never
changes a value: number tokens keep their digits, and what DuckDB's own casts would bend (one-digit
months, 24:00, more than six fraction digits, dropped time zones; all observed with DuckDB 2.0.0) is
kept out by a pattern.

Most columns are regular: they hold one spelling throughout, the one that Autodesk's database
writes. `is_regular` tells it, and `typed_regular` is then enough, at a fraction of the cost. No two
regular texts mean the same value, so regular cells can also be compared as they stand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from pathlib import Path

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_FRACTION = r"(?:\.[0-9]{1,6})?"
_ZONE = "(?: ?(?:UTC|Z|[+-](?:[01][0-9]|2[0-3])(?::[0-5][0-9])?))?"

_REGULAR_INTEGER = "-?(?:0|[1-9][0-9]*)"
_REGULAR_NUMBER = rf"{_REGULAR_INTEGER}(?:\.[0-9]+)?"
NUMBER = rf"{_REGULAR_NUMBER}(?:[eE][+-]?[0-9]{{1,17}})?"
"""A number token as JSON defines it. 17 digits of exponent: what Python's Decimal can hold."""
REGULAR_TIME = rf"{_CLOCK}:[0-5][0-9]{_FRACTION}"
TIME = rf"{_CLOCK}(?::[0-5][0-9]{_FRACTION})?"
TIMESTAMP = rf"{_DATE}(?:[ T]{_CLOCK}(?::[0-5][0-9](?:\.[0-9]{{1,6}}0*)?)?{_ZONE})?"
_LOCAL = rf"^{_DATE}(?:[ T]{_CLOCK}(?::[0-5][0-9]{_FRACTION})?)?"
_OFFSET = "([+-])([0-9]{2})(?::([0-9]{2}))?$"

_YEARS = "^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-.*$"
"""What a timestamp in the years 1 to 9999 looks like; an offset can lead beyond them."""

_FIRST, _LAST = "TIMESTAMP '0001-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59.999999'"
_PADDING = (
    " ".join(f"WHEN {20 + digits} THEN '{'0' * (6 - digits)}Z'" for digits in range(6, 0, -1))
    + " WHEN 19 THEN '.000000Z'"
)
"""What a regular timestamp lacks to be canonical, by its length; the usual one first."""
_FORMAT = "'%Y-%m-%dT%H:%M:%S.%fZ'"

_MOST_DIGITS = 38
"""Digits of DuckDB's and Parquet's widest decimal."""
_BIGINT_DIGITS = 18


def quoted(text: str) -> str:
    """Write `text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Write a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def path_literal(path: Path) -> str:
    """Write the path of a file as an SQL string literal; DuckDB takes a path for a pattern."""
    return quoted(re.sub(r"[*?\[]", r"[\g<0>]", str(path)))


def parsed(cell: str, type_: Type) -> str | None:
    """Return SQL of a cell's value as DuckDB reads it, NULL where it cannot, for `is_regular`."""
    return f"try_cast({cell} AS {type_.name})" if type_ in (Type.DATE, Type.TIMESTAMP) else None


def is_regular(cell: str, type_: Type) -> str:
    """Return SQL that tells whether a cell is null or stands in the usual spelling of its type.

    A column `p_{cell}` must stand beside the cell where `parsed` is not None: DuckDB would work out
    the value several times if it stood in this expression.
    """
    match type_:
        case Type.STRING:
            return "true"
        case Type.NUMBER:
            regular = _matches(cell, _REGULAR_NUMBER)
        case Type.BOOLEAN:
            regular = f"{cell} IN ('t', 'f')"
        case Type.TIME:
            regular = _matches(cell, REGULAR_TIME)
        case Type.DATE:
            regular = f"strlen({cell}) = 10 AND p_{cell}::VARCHAR = {cell}"
        case Type.TIMESTAMP:
            regular = f"p_{cell} BETWEEN {_FIRST} AND {_LAST} AND p_{cell}::VARCHAR = {cell}"
    return f"coalesce({regular}, {cell} IS NULL)"


def typed_regular(cell: str, type_: Type) -> str:
    """Return SQL for the canonical text of a cell that is regular."""
    match type_:
        case Type.STRING | Type.NUMBER | Type.DATE | Type.TIME:
            return cell
        case Type.BOOLEAN:
            return f"CASE {cell} WHEN 't' THEN 'true' WHEN 'f' THEN 'false' END"
        case Type.TIMESTAMP:
            return f"replace({cell}, ' ', 'T') || CASE strlen({cell}) {_PADDING} END"


def typed(cell: str, type_: Type) -> str:
    """Return SQL for the canonical text of any cell, NULL where it does not fit.

    Args:
        cell: SQL of the cell's text (VARCHAR, NULL for a null cell).
        type_: What the catalog says the column is.
    """
    match type_:
        case Type.STRING:
            return cell
        case Type.NUMBER:
            return f"CASE WHEN {_matches(cell, NUMBER)} THEN {cell} END"
        case Type.BOOLEAN:
            return (
                f"CASE WHEN lower({cell}) IN ('t', 'true', '1') THEN 'true'"
                f" WHEN lower({cell}) IN ('f', 'false', '0') THEN 'false' END"
            )
        case Type.TIME:
            return (
                f"CASE WHEN {_matches(cell, TIME)} THEN"
                f" CASE WHEN strlen({cell}) = 5 THEN {cell} || ':00' ELSE {cell} END END"
            )
        case Type.DATE:
            midnight = "'^(.*)T00:00:00\\.000000Z$'"
            return f"nullif(regexp_extract({_instant(cell)}, {midnight}, 1), '')"
        case Type.TIMESTAMP:
            return _instant(cell)


def in_json(text: str, type_: Type) -> str:
    """Return SQL that writes canonical text as a JSON value; NULL stays NULL."""
    match type_:
        case Type.STRING:
            return f"to_json({text})::VARCHAR"
        case Type.NUMBER | Type.BOOLEAN:
            return text
        case _:
            return f"'\"' || {text} || '\"'"


def number_widths(text: str) -> tuple[str, str]:
    """Return SQL for the most characters that numbers have before the point, and behind it."""
    point = f"strpos({text}, '.')"
    return (
        f"coalesce(max(CASE {point} WHEN 0 THEN strlen({text}) ELSE {point} - 1 END), 0)",
        f"coalesce(max(CASE {point} WHEN 0 THEN 0 ELSE strlen({text}) - {point} END), 0)",
    )


def number_type(whole: int, fraction: int) -> str:
    """Return the SQL type that holds numbers of such widths, see `number_widths`, exactly."""
    if whole + fraction > _MOST_DIGITS:
        return "VARCHAR"
    if fraction:
        return f"DECIMAL({_MOST_DIGITS}, {fraction})"
    return "BIGINT" if whole <= _BIGINT_DIGITS else f"DECIMAL({_MOST_DIGITS}, 0)"


def is_regular_as(cell: str, whole: int, fraction: int) -> str:
    """Return SQL that tells whether a number is null, or regular and fits such a `number_type`.

    Some of more than thirty digits are said not to fit though they do.
    """
    kind = number_type(whole, fraction)
    if kind == "VARCHAR":
        return is_regular(cell, Type.NUMBER)
    pattern = rf"{_REGULAR_INTEGER}(?:\.[0-9]{{1,{fraction}}})?" if fraction else _REGULAR_INTEGER
    most = _BIGINT_DIGITS if kind == "BIGINT" else _MOST_DIGITS - fraction
    return f"coalesce({_matches(cell, pattern)} AND strlen({cell}) <= {most}, {cell} IS NULL)"


def value(text: str, type_: Type, number: str) -> str:
    """Return SQL of the value itself, from its canonical or regular text.

    Args:
        text: SQL of the text.
        type_: The column's type.
        number: The SQL type of a number column.
    """
    match type_:
        case Type.STRING:
            return text
        case Type.NUMBER:
            return f"CAST({text} AS {number})"
        case Type.TIMESTAMP:
            return f"make_timestamptz(epoch_us(CAST({text} AS TIMESTAMP)))"
        case _:
            return f"CAST({text} AS {type_.name})"


def _matches(cell: str, pattern: str) -> str:
    return f"regexp_full_match({cell}, {quoted(pattern)})"


def _instant(cell: str) -> str:
    """SQL of the canonical timestamp that a cell names in any spelling; without zone it is UTC."""
    # DuckDB's cast to TIMESTAMP drops an offset without applying it, so it is taken apart here.
    local = f"try_cast(regexp_extract({cell}, {quoted(_LOCAL)}) AS TIMESTAMP)"
    zone = f"substr({cell}, 17)"
    sign, hours, minutes = (
        f"regexp_extract({zone}, {quoted(_OFFSET)}, {group})" for group in (1, 2, 3)
    )
    west = f"CASE {sign} WHEN '-' THEN 1 ELSE -1 END"
    offset = f"60 * coalesce(try_cast({hours} AS INT), 0) + coalesce(try_cast({minutes} AS INT), 0)"
    instant = f"strftime({local} + to_minutes({west} * ({offset})), {_FORMAT})"
    return (
        f"CASE WHEN {_matches(cell, TIMESTAMP)}"
        f" THEN nullif(regexp_extract({instant}, {quoted(_YEARS)}), '') END"
    )
