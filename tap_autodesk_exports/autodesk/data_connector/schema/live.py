"""The schema that Autodesk publishes: `/doc`, `/doc/schema` and `/doc/changes`, without a token.

Documented: the paths, that no authentication is needed, the JSON of both documents. Observed: the
index links to every schema as `…name=GROUP`, and in the same way to `changes` and to
`activities_<tool>_verb_column_details`, which are no service groups; watermarks are text of epoch
seconds, and were dates before.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.transport.exchange import fetch, prepare
from tap_autodesk_exports.transport.failures import explain

logger = logging.getLogger("tap-autodesk-exports")

SECONDS = 60.0
"""How long a document may take."""
MOST_BYTES = 64 << 20
"""Bytes of a document; the largest has less than one million."""
TRIES = 3
AT_ONCE = 8
"""How many schemas are fetched at the same time."""
CHANGES = "changes"
"""The name under which the index also has the changes (observed)."""

Tables = dict[str, dict[str, str]]
"""Table -> column -> type, columns in the order of the file."""


class SchemaError(TapError):
    """The published schema could not be fetched."""


def published(api_url: str, known_groups: set[str]) -> dict[str, Tables]:
    """Return service group -> table -> column -> type, columns in the order of the file.

    What the index names and is no service group is left out: names with a `_` never are one
    (observed of all groups), others are none where their document is not a schema.

    Args:
        api_url: The host.
        known_groups: Service groups to ask for even if the index does not name them; one of them
            that has gone is left out.

    Raises:
        SchemaError: The schema of a known group, or the index, could not be fetched or is not what
            is documented.
    """
    index = _get(f"{api_url}/data-connector/v1/doc", {}).text
    texts = re.findall(r"[?&;]name=([^&\"'<>\s]+)", index)
    named = {name for text in texts if "_" not in (name := unquote(text).lower())} - {CHANGES}
    groups = sorted(named | known_groups)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        schemas = threads.map(
            lambda group: _schema(
                api_url, group, is_named=group in named, is_known=group in known_groups
            ),
            groups,
        )
        found = {group: tables for group, tables in zip(groups, schemas, strict=True) if tables}
    if known_groups and not found:  # what was taken for the index may be some other page
        raise SchemaError(_unreadable("/doc"))
    return found


def changes(api_url: str, after: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the documented changes since a day, oldest first, each with its own day.

    One whose day cannot be read may be of any day, so it is among them, with the day `undated`.

    Args:
        api_url: The host.
        after: A day, `YYYY-MM-DD`.

    Raises:
        SchemaError: The document could not be fetched or is not what is documented.
    """
    answer = _get(f"{api_url}/data-connector/v1/doc/changes", {"format": "json"})
    try:
        found = [(_day(entry), dict(entry)) for entry in read_json(answer.content)["changes"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SchemaError(_unreadable("/doc/changes")) from error
    return sorted(
        (
            ("undated" if day is None else day, entry)
            for day, entry in found
            if not day or day > after
        ),
        key=lambda change: change[0],
    )


def _day(entry: dict[str, Any]) -> str | None:
    """Return the day of a change; None where it has none that can be read."""
    watermark = entry.get("watermark")
    text = str(watermark).strip()
    if re.fullmatch(r"\d{9,14}(\.\d+)?", text):
        seconds = float(text)
        milliseconds = seconds > 1e11  # noqa: PLR2004 - in seconds, that is the year 5138
        at = dt.datetime.fromtimestamp(seconds / 1000 if milliseconds else seconds, dt.UTC)
        return f"{at:%Y-%m-%d}"
    if read := instant(text):
        return f"{read:%Y-%m-%d}"
    try:
        return f"{dt.date(int(entry['year']), int(entry['month']), 1)}"
    except (KeyError, ValueError, TypeError):
        return None


def _schema(api_url: str, group: str, *, is_named: bool, is_known: bool) -> Tables:
    """Return the tables of a service group; none where it has gone, or is no service group."""
    url = f"{api_url}/data-connector/v1/doc/schema"
    must = is_named and is_known
    answer = _get(url, {"name": group, "format": "json"}, refusal_is_fine=not must)
    if answer.ok:
        try:
            if tables := _tables(read_json(answer.content)):
                return tables
            if must:  # nothing says that it has gone
                raise SchemaError(_unreadable(f"/doc/schema?name={group}"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if is_known:
                raise SchemaError(_unreadable(f"/doc/schema?name={group}")) from error
    if not is_known:
        logger.warning(
            "The index of the Data Connector's published schema names '%s', which has no schema of "
            "a service group: it is left out.",
            group,
        )
    return {}


def _tables(document: Any) -> Tables:  # noqa: ANN401
    """Read `{table: {column: {data_type, ordinal_position, …}}}`.

    Raises:
        ValueError: A table has no columns. Other errors where it has another form.
    """
    if not all(document.values()):
        raise ValueError
    return {
        table: {
            name: str(column["data_type"])
            for name, column in sorted(
                columns.items(), key=lambda item: int(item[1]["ordinal_position"])
            )
        }
        for table, columns in document.items()
    }


def _get(url: str, query: dict[str, str], *, refusal_is_fine: bool = False) -> requests.Response:
    failure = ""
    for _ in range(TRIES):
        try:
            request = prepare("GET", url, params=query)
            answer = fetch(request, most=MOST_BYTES, seconds=SECONDS, silence=SECONDS)
        except requests.RequestException as error:
            failure = explain(error, urlsplit(url).netloc.rpartition("@")[2] or url).what
            continue
        is_there = 200 <= answer.status_code < 300  # noqa: PLR2004
        is_refusal = 400 <= answer.status_code < 500  # noqa: PLR2004
        if is_there or (refusal_is_fine and is_refusal):
            return answer
        failure = f"the answer was {answer.status_code}"
    msg = (
        f"The published schema of the Data Connector could not be fetched from {url}: {failure}. "
        "Try again later, or use the bundled one with 'data_connector_schema: bundled'."
    )
    raise SchemaError(msg)


def _unreadable(document: str) -> str:
    return (
        f"The published document {document} of the Data Connector is not in the documented form. "
        "Use the bundled schema ('data_connector_schema: bundled'); a newer release of this tap "
        "may know the new form."
    )
