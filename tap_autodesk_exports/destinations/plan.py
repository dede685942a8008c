"""What an export would request and load: said without requesting anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import TITLES, Api
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.loading.bookmarks import DictStates
from tap_autodesk_exports.loading.dataset import Selected
from tap_autodesk_exports.loading.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_autodesk_exports.destinations.state import KeptState
    from tap_autodesk_exports.loading.dataset import Dataset, Load
    from tap_autodesk_exports.session import Session

SHOWN = 3
"""Exports of one stream that are listed."""


def planned(
    streams: Sequence[Dataset | Listing], state: KeptState, session: Session
) -> Iterator[str]:
    """Yield a line for each stream, and one for all exports that would be requested.

    What the APIs answer at once is read: which teams, contracts, projects there are.
    """
    session.pending = state.exports
    run = session.run
    try:
        wanted: set[str] = set()
        pending = {_key(entry) for entry in state.exports}
        for api in session.settings.apis:
            of_api = [each for each in streams if each.api == api]
            selected = [
                Selected.whole(each, DictStates(state.of(each.name)))
                for each in of_api
                if not isinstance(each, Listing)
            ]
            plan: Mapping[str, list[Load] | TapError] = {}
            try:
                run.sign_in.check(Api(api))
                plan = run.source(api).plan(selected) if selected else {}
            except TapError as error:
                yield f"{TITLES[Api(api)]}: {error}"
                continue
            for each in of_api:
                yield f"{each.name}: {_line(each, plan)}"
            for found in plan.values():
                if not isinstance(found, TapError):
                    wanted.update(load.spec.key for load in found)
        resumed = len(wanted & pending)
        yield (
            f"Exports: {len(wanted) - resumed} to request, {resumed} pending from an earlier run. "
            "Nothing was requested, and nothing was written."
        )
    finally:
        session.close(lambda: None)


def _line(stream: Dataset | Listing, plan: Mapping[str, list[Load] | TapError]) -> str:
    if isinstance(stream, Listing):
        return "a list, read at once"
    found = plan.get(stream.name, [])
    if isinstance(found, TapError):
        return str(found)
    titles = [load.spec.title for load in found[:SHOWN]]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{', '.join(titles)}{more}" if titles else "nothing to load"


def _key(entry: Mapping[str, object]) -> str:
    spec = entry.get("spec")
    parts = spec if isinstance(spec, dict) else {}
    return "/".join(str(parts.get(name, "")) for name in ("api", "name", "owner", "slot"))
