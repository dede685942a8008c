"""What Data Connector publishes about its schema: `/doc`, and the documents inside an extract."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

import flask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_autodesk_exports.sandbox.data.registry import Table

WATERMARK = "2026-03-18 00:00:00"


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


def index(groups: Iterable[str]) -> str:
    """Return the HTML index of `/doc`."""
    links = "".join(
        f'<li><a href="doc/schema?name={group}&amp;format=html">{group}</a></li>\n'
        for group in groups
    )
    return f"<!doctype html>\n<title>Data Connector</title>\n<ul>\n{links}</ul>\n"


def changes(added: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the documented changes of the schema, newest last."""
    documented = {
        "service_group": "schedule",
        "table": "plan_tasks",
        "column": "",
        "change_type": "ADDED",
        "notes": "New table",
        "watermark": WATERMARK,
        "year": 2026,
        "month": 3,
    }
    return {"watermark": WATERMARK, "changes": [documented, *added]}


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


def add_routes(
    blueprint: flask.Blueprint,
    registry: Callable[[], Mapping[str, Table]],
    added: Callable[[], Iterable[Mapping[str, Any]]],
) -> None:
    """Add `/doc`, `/doc/schema` and `/doc/changes`, which need no token (documented).

    Args:
        blueprint: Where to add them.
        registry: Returns the present tables.
        added: Returns further changes of the schema.
    """

    def show_index() -> flask.Response:
        groups = dict.fromkeys(table.group for table in registry().values())
        return flask.Response(index(groups), content_type="text/html")

    def show_schema() -> flask.Response:
        group = flask.request.args.get("name", "")
        tables = [table for table in registry().values() if table.group == group]
        if not tables:
            return flask.Response("There is no such schema.", status=404, content_type="text/plain")
        if flask.request.args.get("format", "html") == "json":
            return flask.jsonify(schema(tables))
        return flask.Response(schema_page(group, tables), content_type="text/html")

    blueprint.add_url_rule("/doc", "doc", show_index)
    blueprint.add_url_rule("/doc/schema", "schema", show_schema)
    blueprint.add_url_rule("/doc/changes", "changes", lambda: flask.jsonify(changes(added())))
