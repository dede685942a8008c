"""What the text of a cell becomes: one SQL expression for each type.

Every expression yields the canonical text of the value, ready to stand in JSON (dates and times
without their quotes), or NULL where the text does not fit the type. It never changes a value:
number tokens keep their digits, and what DuckDB's own casts would bend (one-digit months, 24:00,
more than six fraction digits, dropped time zones; all observed with DuckDB 2.0.0) is kept out by
a pattern.
"""

from __future__ import annotations

from tap_autodesk_exports.tables.types import Type

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_ZONE = "(?: ?(?:UTC|Z|[+-](?:[01][0-9]|2[0-3])(?::[0-5][0-9])?))"

NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,17})?"
"""A number token as JSON defines it. 17 digits of exponent: what Python's Decimal can hold."""
TIME = rf"{_CLOCK}(?::[0-5][0-9](?:\.[0-9]{{1,6}})?)?"
PLAIN_TIMESTAMP = rf"{_DATE}[ T]{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,6}})?"
TIMESTAMP = rf"{_DATE}(?:[ T]{_CLOCK}(?::[0-5][0-9](?:\.[0-9]{{1,6}}0*)?)?{_ZONE}?)?"
_LOCAL = rf"^{_DATE}(?:[ T]{_CLOCK}(?::[0-5][0-9](?:\.[0-9]{{1,6}})?)?)?"
_OFFSET = "([+-])([0-9]{2})(?::([0-9]{2}))?$"

_MIDNIGHT = "T00:00:00.000000Z"


def quoted(text: str) -> str:
    """Write `text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def typed(cell: str, type: Type) -> str:  # noqa: A002
    """Return SQL for the canonical text of a cell, NULL where it does not fit.

    Args:
        cell: SQL of the cell's text (VARCHAR, NULL for a null cell).
        type: What the catalog says the column is.
    """
    match type:
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
            instant = _timestamp(cell)
            return f"CASE WHEN suffix({instant}, '{_MIDNIGHT}') THEN left({instant}, 10) END"
        case Type.TIMESTAMP:
            return _timestamp(cell)


def in_json(text: str, type: Type) -> str:  # noqa: A002
    """Return SQL that writes the canonical text of a cell as a JSON value."""
    match type:
        case Type.STRING:
            return f"coalesce(to_json({text})::VARCHAR, 'null')"
        case Type.NUMBER | Type.BOOLEAN:
            return f"coalesce({text}, 'null')"
        case _:
            return f"coalesce('\"' || {text} || '\"', 'null')"


def _matches(cell: str, pattern: str) -> str:
    return f"regexp_full_match({cell}, {quoted(pattern)})"


def _timestamp(cell: str) -> str:
    """Write an instant as YYYY-MM-DDTHH:MM:SS.ffffffZ; a cell without zone is UTC.

    The common shape is put together from its own characters; only the others are computed.
    """
    plain = (
        f"left({cell}, 10) || 'T' || substr({cell}, 12, 8) || '.'"
        f" || rpad(substr({cell}, 21), 6, '0') || 'Z'"
    )
    return (
        f"CASE WHEN {_matches(cell, PLAIN_TIMESTAMP)}"
        f" THEN CASE WHEN try_cast(left({cell}, 10) AS DATE) >= DATE '0001-01-01' THEN {plain} END"
        f" WHEN {_matches(cell, TIMESTAMP)} THEN {_computed_timestamp(cell)} END"
    )


def _computed_timestamp(cell: str) -> str:
    # DuckDB's cast to TIMESTAMP drops an offset without applying it, so it is taken apart here.
    local = f"try_cast(regexp_extract({cell}, {quoted(_LOCAL)}) AS TIMESTAMP)"
    zone = f"substr({cell}, 17)"
    sign, hours, minutes = (
        f"regexp_extract({zone}, {quoted(_OFFSET)}, {group})" for group in (1, 2, 3)
    )
    west = f"CASE {sign} WHEN '-' THEN 1 ELSE -1 END"
    offset = f"60 * coalesce(try_cast({hours} AS INT), 0) + coalesce(try_cast({minutes} AS INT), 0)"
    instant = f"{local} + to_minutes({west} * ({offset}))"
    return (
        f"CASE WHEN year({instant}) BETWEEN 1 AND 9999"
        f" THEN strftime({instant}, '%Y-%m-%dT%H:%M:%S.%fZ') END"
    )
