"""The data dictionary: a page for each API and service group, and one that finds every stream."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from diagram import diagram

from streams import Stream, streams, title
from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.tables.layout import PROVENANCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILTER = '<input class="filter" type="search" placeholder="{}" aria-label="Filter">'
MEANING = {
    "_export_id": "The export that the row came from.",
    "_exported_at": "When the source took the snapshot.",
    "_rescued_data": "Cells that do not fit their column's type, and columns that the catalog "
    "does not know.",
    "_row_id": "A hash of the row's natural key, the same in every run.",
}


def dictionary() -> dict[str, str]:
    """Return the pages: address in the site -> Markdown."""
    pages = streams()
    found = {"dictionary/index.md": "\n".join(_index(pages))}
    homes = {stream.name: page for page, of_page in pages.items() for stream in of_page}
    for page, of_page in pages.items():
        found[f"dictionary/{page}.md"] = "\n".join(_page(page, of_page, homes))
    return found


def navigation() -> list[dict[str, str]]:
    """Return the dictionary's part of the navigation."""
    pages = sorted(streams(), key=lambda page: (page not in set(Api), page))
    return [{title(page): f"dictionary/{page}.md"} for page in pages]


def _index(pages: Mapping[str, list[Stream]]) -> Iterator[str]:
    count = sum(map(len, pages.values()))
    yield "---\nhide: [toc]\n---\n\n# Data dictionary\n"
    yield (
        f"All {count} streams. Type a part of the name of a stream or of one of its columns. A "
        "Data Connector stream is named `<service group>_<table>`. Every exported row also has:\n"
    )
    yield "| Column | Meaning |\n|---|---|"
    yield from (f"| `{name}` | {MEANING[name]} |" for name in PROVENANCE)
    yield f"\n{FILTER.format('Stream or column')}\n"
    yield '<table class="streams"><thead><tr><th>Stream</th><th>Page</th><th>Columns</th>'
    yield "<th>Key</th><th>Replication</th><th>By default</th><th>Personal</th></tr></thead><tbody>"
    for page, of_page in pages.items():
        for stream in of_page:
            yield (
                f'<tr data-words="{" ".join(map(escape, stream.columns))}">'
                f'<td><a href="{page}/#{stream.name}"><code>{stream.name}</code></a></td>'
                f"<td>{title(page)}</td><td>{len(stream.columns)}</td>"
                f"<td>{_codes(stream.key)}</td><td>{_html(stream.replication)}</td>"
                f"<td>{'selected' if stream.selected else 'no'}</td>"
                f"<td>{len(stream.personal) or ''}</td></tr>"
            )
    yield "</tbody></table>"


def _page(page: str, of_page: list[Stream], homes: Mapping[str, str]) -> Iterator[str]:
    yield f"# {title(page)}\n"
    yield f"{_introduction(page, of_page)}\n"
    yield f"{FILTER.format('Stream or column')}\n"
    drawn = diagram(
        {stream.name: stream.references for stream in of_page if stream.references},
        lambda name: _address(name, page, homes),
    )
    if drawn:
        yield f"{drawn}\n"
        yield "A line leads from a table to one on its left that it points at.\n"
    for stream in of_page:
        yield from _stream(stream, page, homes)


def _introduction(page: str, of_page: list[Stream]) -> str:
    if page in set(Api):
        groups = "; its tables are on the pages of their service groups"
        return f"{len(of_page)} streams{groups if page == Api.DATA_CONNECTOR else ''}."
    parts = [f"{len(of_page)} tables of the Data Connector."]
    if page == "activities":
        parts.append("Events, requested in windows of 30 days.")
    elif page.startswith("cdc"):
        parts.append("Changes of a date range; in beta at Autodesk.")
    else:
        parts.append("Each extract is a snapshot of the whole table.")
    if not any(stream.selected for stream in of_page):
        parts.append(f'Not selected by default: select `"{page}_*.*"`.')
    if page != "admin":
        parts.append("`bim360_project_id` points at [admin_projects](admin.md#admin_projects).")
    return " ".join(parts)


def _stream(stream: Stream, page: str, homes: Mapping[str, str]) -> Iterator[str]:
    yield f"## {stream.name} {{#{stream.name}}}\n"
    selected = "selected by default" if stream.selected else "not selected by default"
    key = ", ".join(f"`{name}`" for name in stream.key)
    rows = "exported rows" if stream.exported else "a list, answered at once"
    yield f"Key {key} · {stream.replication} · {selected} · {rows}\n"
    yield '<table class="columns"><thead><tr><th>Column</th><th>Type</th><th></th></tr></thead>'
    yield "<tbody>"
    for name, type_ in stream.columns.items():
        notes = [f'<b class="{word}">{word}</b>' for word in _marks(stream, name)]
        if target := stream.references.get(name):
            address = _address(target.rpartition(".")[0], page, homes)
            notes.append(f'→ <a href="{address}"><code>{escape(target)}</code></a>')
        yield f"<tr><td><code>{escape(name)}</code></td><td>{type_}</td>"
        yield f"<td>{' '.join(notes)}</td></tr>"
    yield "</tbody></table>\n"


def _marks(stream: Stream, column: str) -> Iterator[str]:
    if column in stream.key:
        yield "key"
    if column in stream.personal:
        yield "personal"


def _address(name: str, page: str, homes: Mapping[str, str]) -> str:
    home = homes[name]
    return f"#{name}" if home == page else f"../{home}/#{name}"


def _codes(names: tuple[str, ...]) -> str:
    return ", ".join(f"<code>{escape(name)}</code>" for name in names)


def _html(text: str) -> str:
    """Return a text with its one `code` marked up."""
    before, _, rest = text.partition("`")
    return f"{before}<code>{rest.rstrip('`')}</code>" if rest else before
