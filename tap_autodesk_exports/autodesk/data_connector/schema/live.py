"""The schema that Autodesk publishes: `/doc`, `/doc/schema` and `/doc/changes`, without a token.

Documented: the paths, that no authentication is needed, the JSON of both documents. Assumed: that
the index links to every schema as `…name=GROUP`; names with a `_` in them are no service groups.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tap_autodesk_exports.errors import TapError

TIMEOUT = (15, 60)
TRIES = 3
AT_ONCE = 8
"""How many schemas are fetched at the same time."""


class SchemaError(TapError):
    """The published schema cannot be had."""


def published(api_url: str, known_groups: set[str]) -> dict[str, dict[str, dict[str, str]]]:
    """Return service group -> table -> column -> type, columns in the order of the file.

    Args:
        api_url: The host.
        known_groups: Service groups to ask for even if the index does not name them; one of them
            that has gone is left out.

    Raises:
        SchemaError: A document cannot be fetched or is not what is documented.
    """
    index = _get(f"{api_url}/data-connector/v1/doc", {}).text
    named = set(re.findall(r"name=([a-z0-9]+)(?![a-z0-9_])", index))
    groups = sorted(named | known_groups)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = threads.map(lambda group: _schema(api_url, group, must=group in named), groups)
        return {group: tables for group, tables in zip(groups, found, strict=True) if tables}


def changes(api_url: str, after: str) -> list[dict[str, Any]]:
    """Return the documented changes whose watermark is later than a day, oldest first.

    Raises:
        SchemaError: The document cannot be fetched or is not what is documented.
    """
    answer = _get(f"{api_url}/data-connector/v1/doc/changes", {"format": "json"})
    try:
        entries = list(answer.json()["changes"])
        new = [entry for entry in entries if str(entry["watermark"])[:10] > after]
    except (ValueError, KeyError, TypeError) as error:
        raise SchemaError(_unreadable("/doc/changes")) from error
    return sorted(new, key=lambda entry: str(entry["watermark"]))


def _schema(api_url: str, group: str, *, must: bool) -> dict[str, dict[str, str]]:
    url = f"{api_url}/data-connector/v1/doc/schema"
    answer = _get(url, {"name": group, "format": "json"}, missing_is_fine=not must)
    if not answer.ok:
        return {}
    try:
        return {
            table: {
                name: str(column["data_type"])
                for name, column in sorted(
                    columns.items(), key=lambda item: int(item[1]["ordinal_position"])
                )
            }
            for table, columns in answer.json().items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SchemaError(_unreadable(f"/doc/schema?name={group}")) from error


def _get(url: str, query: dict[str, str], *, missing_is_fine: bool = False) -> requests.Response:
    failure = ""
    for _ in range(TRIES):
        try:
            answer = requests.get(url, params=query, timeout=TIMEOUT)
        except requests.RequestException as error:
            failure = f"the connection failed ({type(error).__name__})"
            continue
        if answer.ok or (missing_is_fine and answer.status_code == requests.codes.not_found):
            return answer
        failure = f"the answer was {answer.status_code}"
    msg = (
        f"The published schema of the Data Connector cannot be fetched from {url}: {failure}. Try "
        "again later, or use the bundled one with 'data_connector_schema: bundled'."
    )
    raise SchemaError(msg)


def _unreadable(document: str) -> str:
    return (
        f"The published document {document} of the Data Connector is not in the documented form. "
        "Use the bundled schema ('data_connector_schema: bundled'); a newer release of this tap "
        "may know the new form."
    )
