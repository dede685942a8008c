"""What Data Connector publishes about its schema: `/doc`, and the documents inside an extract.

Observed: the index of `/doc` names not only the service groups, but also `schema?name=changes` and
`activities_<tool>_verb_column_details`; watermarks are text of epoch seconds, on the whole and on
every entry; the published form of the change groups lacks `adsk_updated_at`, the form inside an
extract has it. Assumed: the JSON of those other names, which is not table -> column.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import html
import json
from typing import TYPE_CHECKING, Any

import flask

from tap_autodesk_exports.sandbox.data.registry import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_autodesk_exports.sandbox.data.registry import Table
    from tap_autodesk_exports.sandbox.data_connector.behaviour import DataConnectorBehaviour

WATERMARK = dt.datetime(2026, 3, 18, tzinfo=dt.UTC)
TOOLS = ("admin", "assets", "bridge", "cost", "docs", "issues", "rfis", "sheets", "submittals")
"""Tools whose activities have a document of verbs and columns."""
VERBS = "verb_column_details"


def schema(tables: Iterable[Table]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return table -> column -> description, in the shape of `/doc/schema` (documented)."""
    return {
        table.short: {
            column: {
                "data_type": kind,
                "constraints": [],
                "notes": "",
                "ordinal_position": position,
            }
            for position, (column, kind) in enumerate(table.columns.items(), 1)
        }
        for table in tables
    }


def whole_schema(registry: Mapping[str, Table]) -> dict[str, Any]:
    """Return service group -> the group's schema: `schemas/schema.json` of an extract."""
    groups = dict.fromkeys(table.group for table in registry.values())
    return {g: schema(t for t in registry.values() if t.group == g) for g in groups}


def schema_page(group: str, tables: Iterable[Table]) -> str:
    """Return a group's schema as HTML."""
    parts = [f"<!doctype html>\n<title>{html.escape(group)}</title>\n"]
    for table in tables:
        rows = "".join(
            f"<tr><td>{html.escape(column)}</td><td>{html.escape(kind)}</td></tr>\n"
            for column, kind in table.columns.items()
        )
        parts.append(f"<h2>{html.escape(table.short)}</h2>\n<table>\n{rows}</table>\n")
    return "".join(parts)


def published(tables: Iterable[Table]) -> list[Table]:
    """Return tables in their published form: change groups without `adsk_updated_at`."""
    return [
        dataclasses.replace(
            table,
            columns={
                name: kind
                for name, kind in table.columns.items()
                if name != "adsk_updated_at" or not table.group.startswith("cdc")
            },
        )
        for table in tables
    ]


def verbs(name: str, tables: Iterable[Table]) -> dict[str, Any]:
    """Return which columns the verbs of a tool's activities fill; not table -> column."""
    columns = [column for table in tables for column in table.columns]
    return {"name": name, "verbs": [{"activity_verb": "created", "columns": columns[:8]}]}


def index(names: Iterable[str]) -> str:
    """Return the HTML index of `/doc`."""
    links = "".join(
        f'<li>{name}: <a href="doc/schema?name={name}&amp;format=html">HTML</a> '
        f'<a href="doc/schema?name={name}&amp;format=json">JSON</a></li>\n'
        for name in names
    )
    return f"<!doctype html>\n<title>Data Connector</title>\n<ul>\n{links}</ul>\n"


def changes(added: Iterable[Mapping[str, Any]] = (), *, epoch: bool = True) -> dict[str, Any]:
    """Return the documented changes of the schema, newest last.

    Args:
        added: Further entries.
        epoch: Whether watermarks are text of epoch seconds, or of a date and time.
    """
    watermark = f"{WATERMARK.timestamp():.0f}" if epoch else f"{WATERMARK:%Y-%m-%d %H:%M:%S}"
    documented = {
        "service_group": "schedule",
        "table": "plan_tasks",
        "column": "",
        "change_type": "ADDED",
        "notes": "New table",
        "watermark": watermark,
        "year": 2026,
        "month": 3,
    }
    return {"watermark": watermark, "changes": [documented, *added]}


def readme(names: Iterable[str]) -> str:
    """Return README.html of an extract."""
    items = "".join(f"<li>{html.escape(name)}</li>\n" for name in names)
    return (
        "<!doctype html>\n<title>Data extract</title>\n<h1>Data extract of the sandbox</h1>\n"
        f"<p>All of it is made up.</p>\n<ul>\n{items}</ul>\n"
    )


def schema_files(registry: Mapping[str, Table], groups: Iterable[str]) -> dict[str, str]:
    """Return the files below `schemas/` of an extract: name -> text."""
    files = {
        "schemas/schema.json": json.dumps(whole_schema(registry)),
        "schemas/changes.json": json.dumps(changes()),
    }
    for group in groups:
        tables = [table for table in registry.values() if table.group == group]
        files[f"schemas/{group}.json"] = json.dumps(schema(tables))
    return files


class Documents:
    """The routes `/doc`, `/doc/schema` and `/doc/changes`, which need no token (documented).

    Args:
        registry: Returns the present tables.
        behaviour: In which form they are published, and further changes.
    """

    def __init__(
        self, registry: Callable[[], Mapping[str, Table]], behaviour: DataConnectorBehaviour
    ) -> None:
        self._registry = registry
        self._behaviour = behaviour

    def add_to(self, blueprint: flask.Blueprint) -> None:
        """Add the routes to a blueprint."""
        blueprint.add_url_rule("/doc", "doc", self._show_index)
        blueprint.add_url_rule("/doc/schema", "schema", self._show_schema)
        blueprint.add_url_rule("/doc/changes", "changes", self._show_changes)

    @property
    def _is_observed(self) -> bool:
        return self._behaviour.published_schema == "observed"

    def _groups(self) -> list[str]:
        found = dict.fromkeys(table.group for table in self._registry().values())
        return [group for group in found if self._is_observed or group != SECOND]

    def _show_index(self) -> flask.Response:
        names = self._groups()
        if self._is_observed:
            names += [f"activities_{tool}_{VERBS}" for tool in TOOLS] + ["changes"]
        return flask.Response(index(names), content_type="text/html")

    def _show_schema(self) -> flask.Response:
        name = flask.request.args.get("name", "")
        as_json = flask.request.args.get("format", "html") == "json"
        if self._is_observed and name == "changes":
            return self._show_changes()
        if self._is_observed and name.endswith(f"_{VERBS}"):
            tool = name.removesuffix(f"_{VERBS}")
            tables = [t for key, t in self._registry().items() if key.startswith(tool)]
            return flask.jsonify(verbs(name, tables)) if as_json else _page(name, tables)
        if name not in self._groups():
            return flask.Response("There is no such schema.", status=404, content_type="text/plain")
        tables = [table for table in self._registry().values() if table.group == name]
        tables = published(tables) if self._is_observed else tables
        return flask.jsonify(schema(tables)) if as_json else _page(name, tables)

    def _show_changes(self) -> flask.Response:
        added = self._behaviour.schema_changes
        return flask.jsonify(changes(added, epoch=self._is_observed))


def _page(name: str, tables: Iterable[Table]) -> flask.Response:
    return flask.Response(schema_page(name, tables), content_type="text/html")
