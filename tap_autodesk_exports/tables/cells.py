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

from tap_autodesk_exports.tables.types import LONGEST_VALUE, UUID_LENGTH, Type

if TYPE_CHECKING:
    from pathlib import Path

    from tap_autodesk_exports.tables.numbers import ParquetNumbers

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_FRACTION = r"(?:\.[0-9]{1,6})?"
_ZONE = "(?: ?(?:UTC|Z|[+-](?:[01][0-9]|2[0-3])(?::[0-5][0-9])?))?"

_WHOLE = "-?(?:0|[1-9][0-9]*)"
_REGULAR_NUMBER = rf"{_WHOLE}(?:\.[0-9]+)?"
_REGULAR_INTEGER = "0|-?[1-9][0-9]{0,17}"
_INTEGER = "0|-?[1-9][0-9]{0,18}"
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

_PARTS = "^(-?)([0-9]+)(?:\\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$"
"""Sign, digits before and after the point, exponent."""
_MOST_ZEROS = 100
"""Zeros that writing out an exponent may add: far more than any decimal holds."""


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
    """Return SQL that tells whether a cell is null or has the usual spelling of its type.

    A column `p_{cell}` must stand beside the cell where `parsed` is not None: DuckDB would work out
    the value several times if it stood in this expression.
    """
    match type_:
        case Type.STRING:
            return "true"
        case Type.UUID:
            regular = f"strlen({cell}) <= {UUID_LENGTH}"
        case Type.NUMBER:
            regular = _matches(cell, _REGULAR_NUMBER)
        case Type.INTEGER:
            regular = _matches(cell, _REGULAR_INTEGER)
        case Type.BOOLEAN:
            regular = f"{cell} IN ('t', 'f')"
        case Type.TIME | Type.TIME_TEXT:
            regular = _matches(cell, REGULAR_TIME)
        case Type.DATE:
            regular = f"strlen({cell}) = 10 AND p_{cell}::VARCHAR = {cell}"
        case Type.TIMESTAMP:
            regular = f"p_{cell} BETWEEN {_FIRST} AND {_LAST} AND p_{cell}::VARCHAR = {cell}"
    return f"coalesce({regular}, {cell} IS NULL)"


def typed_regular(cell: str, type_: Type) -> str:
    """Return SQL for the canonical text of a cell that is regular."""
    match type_:
        case Type.BOOLEAN:
            return f"CASE {cell} WHEN 't' THEN 'true' WHEN 'f' THEN 'false' END"
        case Type.TIMESTAMP:
            return f"replace({cell}, ' ', 'T') || CASE strlen({cell}) {_PADDING} END"
        case _:
            return cell


def typed(cell: str, type_: Type) -> str:
    """Return SQL for the canonical text of any cell, NULL where it does not fit.

    Args:
        cell: SQL of the cell's text (VARCHAR, NULL for a null cell).
        type_: What the catalog says the column is.
    """
    if type_ is Type.STRING:
        return cell
    return f"CASE WHEN strlen({cell}) <= {LONGEST_VALUE} THEN {_typed(cell, type_)} END"


def _typed(cell: str, type_: Type) -> str:  # noqa: PLR0911 - one for each type
    match type_:
        case Type.STRING:
            return cell
        case Type.UUID:
            return f"CASE WHEN strlen({cell}) <= {UUID_LENGTH} THEN {cell} END"
        case Type.NUMBER:
            return f"CASE WHEN {_matches(cell, NUMBER)} THEN {cell} END"
        case Type.INTEGER:
            fits = f"{_matches(cell, _INTEGER)} AND try_cast({cell} AS BIGINT) IS NOT NULL"
            return f"CASE WHEN {fits} THEN {cell} END"
        case Type.BOOLEAN:
            return (
                f"CASE WHEN lower({cell}) IN ('t', 'true', '1') THEN 'true'"
                f" WHEN lower({cell}) IN ('f', 'false', '0') THEN 'false' END"
            )
        case Type.TIME | Type.TIME_TEXT:
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
        case Type.STRING | Type.UUID:
            return f"to_json({text})::VARCHAR"
        case Type.NUMBER | Type.INTEGER | Type.BOOLEAN:
            return text
        case _:
            return f"'\"' || {text} || '\"'"


def is_exact(text: str, numbers: ParquetNumbers) -> str:
    """Return SQL that tells whether a number without exponent can be stored without a change."""
    most = numbers.digits - numbers.scale
    whole = f"-?0*[0-9]{{1,{most}}}" if most else "-?0+"
    fraction = rf"\.[0-9]{{1,{numbers.scale}}}0*" if numbers.scale else r"\.0+"
    return _matches(text, f"{whole}(?:{fraction})?")


def is_regular_and_exact(cell: str, numbers: ParquetNumbers) -> str:
    """Return SQL of what is true where `is_regular` is, and `is_exact`; not the other way round."""
    most = numbers.digits - numbers.scale
    whole = f"[1-9][0-9]{{0,{most - 1}}}|0" if most else "0"
    fraction = rf"(?:\.[0-9]{{1,{numbers.scale}}})?" if numbers.scale else ""
    return f"coalesce({_matches(cell, f'-?(?:{whole}){fraction}')}, {cell} IS NULL)"


def expanded(text: str) -> str:
    """Return SQL that writes a number without its exponent, unless that takes very many zeros."""
    sign, whole, fraction, exponent = (
        f"regexp_extract({text}, {quoted(_PARTS)}, {group})" for group in (1, 2, 3, 4)
    )
    digits = f"({whole} || {fraction})"
    point = f"(strlen({whole}) + try_cast({exponent} AS INTEGER))"
    return (
        f"CASE WHEN {exponent} = '' THEN {text}"
        f" WHEN try_cast({exponent} AS INTEGER) NOT BETWEEN -{_MOST_ZEROS} AND {_MOST_ZEROS}"
        f" THEN {text}"
        f" WHEN {point} <= 0 THEN {sign} || '0.' || repeat('0', -{point}) || {digits}"
        f" WHEN {point} >= strlen({digits})"
        f" THEN {sign} || {digits} || repeat('0', {point} - strlen({digits}))"
        f" ELSE {sign} || left({digits}, {point}) || '.' || substr({digits}, {point} + 1) END"
    )


def value(text: str, type_: Type, numbers: ParquetNumbers) -> str:
    """Return SQL of the value itself, from its canonical or regular text.

    Args:
        text: SQL of the text.
        type_: The column's type.
        numbers: How numbers are stored; `text` must be exact in it.
    """
    match type_:
        case Type.STRING | Type.UUID | Type.TIME_TEXT:
            return text
        case Type.NUMBER:
            return f"CAST({text} AS {numbers.sql})"
        case Type.INTEGER:
            return f"CAST({text} AS BIGINT)"
        case Type.TIMESTAMP:
            return f"make_timestamptz(epoch_us(CAST({text} AS TIMESTAMP)))"
        case Type.BOOLEAN | Type.DATE | Type.TIME:
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
