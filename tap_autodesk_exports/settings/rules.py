"""What settings must hold together: each rule yields a sentence for everything that is wrong."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import re
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings.kinds import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tap_autodesk_exports.settings.own_exports import TokenFlexExport

EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
"""Before there was anything that these APIs report: such a date is a slip of the pen."""
SHORTEST_HASH_KEY = 16
"""Characters: 64 random bits as hexadecimal digits."""
ADDED_COLUMNS = frozenset({"contract_number"})
"""Columns that Token Flex streams get in addition; all others begin with an underscore."""
_STREAM_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MAKE_KEY = "give a secret key, such as the output of `openssl rand -hex 32`, and keep it"


@dataclasses.dataclass(frozen=True)
class Known:
    """What a caller knows beyond the settings; what is None is not checked.

    Attributes:
        others: Names of the settings that the Singer SDK reads.
        groups: The service groups of the Data Connector that exist.
        streams: Names of the streams that are there without the user's own exports.
    """

    others: Collection[str] | None = None
    groups: Collection[str] | None = None
    streams: Collection[str] | None = None


class WrongSettings(ConfigurationError):
    """Settings are wrong; the text is one message with a sentence for each.

    Attributes:
        problems: The sentences.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        first = problems[0] if len(problems) == 1 else f"{len(problems)} settings are wrong:"
        super().__init__("\n- ".join([first, *(problems if len(problems) > 1 else [])]))


def unknown_names(known: Known, names: Iterable[str], settings: Collection[str]) -> Iterator[str]:
    """Settings that nothing reads."""
    if known.others is None:
        return
    there = {*settings, *known.others}
    for name in names:
        if name in there:
            continue
        near = nearest(name, there)
        remedy = (
            f"did you mean '{near}'?"
            if near
            else "remove it; `tap-autodesk-exports --about` lists all settings."
        )
        yield f"Setting {shown(name)} does not exist: {remedy}"


def dates(_: Known, start: dt.datetime | None, end: dt.datetime | None) -> Iterator[str]:
    """A range of dates that holds nothing."""
    for name, date in (("start_date", start), ("end_date", end)):
        if date and date < EARLIEST:
            yield (
                f"Setting '{name}' ({_day(date)}) is before {EARLIEST.year}, when none of these "
                "APIs had data: write it as 2026-01-31."
            )
    if start and end and start >= end:
        yield (
            f"Setting 'start_date' ({_day(start)}) is not before 'end_date' ({_day(end)}): give "
            "an earlier start or a later end."
        )


def _day(date: dt.datetime) -> str:
    return date.date().isoformat()


def accounts(
    _: Known,
    account_ids: tuple[str, ...],
    project_ids: tuple[str, ...],
    job_id: str | None,
    sandbox: bool,  # noqa: FBT001
) -> Iterator[str]:
    """The Data Connector without an account; the sandbox brings one."""
    needing = [
        *(["'data_connector_project_ids'"] if project_ids else []),
        *(["'data_connector_job_id'"] if job_id else []),
    ]
    if needing and not (account_ids or sandbox):
        yield (
            f"Setting 'data_connector_account_ids' is missing, and {needing[0]} needs it: name the "
            'accounts to extract, such as ["b.0f5e4c3b-2a19-4807-96f5-e4d3c2b1a098"] (a hub\'s ID '
            "with or without `b.`), or leave 'data_connector' out of 'apis'."
        )


def service_groups(known: Known, groups: tuple[str, ...] | None) -> Iterator[str]:
    """Service groups that do not exist."""
    for group in groups or ():
        if known.groups is None or group in known.groups:
            continue
        near = nearest(group, known.groups)
        example = near or min(known.groups, default="admin")
        question = (
            f"did you mean '{near}'?" if near else f"write one that exists, like '{example}'."
        )
        yield (
            f"Setting 'data_connector_service_groups' names {shown(group)}, which is no service "
            f"group: {question}"
        )


def hashing(
    known: Known,  # noqa: ARG001
    columns: tuple[str, ...],
    key: str | None,
    hash_personal_data: bool,  # noqa: FBT001
) -> Iterator[str]:
    """Personal data that would not be hidden, or badly."""
    for text in columns:
        if not {".", "*"} & set(text):
            yield (
                f"Setting 'hash_columns' holds {shown(text)}, which names no column: write "
                f"`stream.column`, such as '*.{text}'."
            )
    name = "hash_columns" if columns else "hash_personal_data"
    if not (columns or hash_personal_data):
        return
    if not key:
        yield f"Setting '{name}' asks for hashed columns, and 'hash_key' is missing: {_MAKE_KEY}."
    elif len(key) < SHORTEST_HASH_KEY:
        yield (
            f"Setting 'hash_key' has fewer than {SHORTEST_HASH_KEY} characters, so that it could "
            f"be found out by trying, and the hashed values with it: {_MAKE_KEY}."
        )


def own_exports(known: Known, exports: tuple[TokenFlexExport, ...]) -> Iterator[str]:
    """Exports of the user's own that cannot become streams."""
    for name, times in collections.Counter(export.name for export in exports).items():
        if times > 1:
            yield (
                f"Setting 'tokenflex_exports' has the name {shown(name)} {times} times: give each "
                f"export its own, such as '{name}_2'."
            )
    for at, export in enumerate(exports):
        where = f"Setting 'tokenflex_exports[{at}]'"
        if not _STREAM_NAME.fullmatch(export.name):
            yield (
                f"{where} has the name {shown(export.name)}, which cannot be part of a stream's "
                "name: write it with small letters, digits and underscores, such as 'by_product'."
            )
        if f"tokenflex_{export.name}" in (known.streams or ()):
            yield (
                f"{where} has the name {shown(export.name)}, and a stream 'tokenflex_{export.name}'"
                f" is there already: choose another, such as 'own_{export.name}'."
            )
        yield from (f"{where} {problem}" for problem in _columns(export))


def _columns(export: TokenFlexExport) -> Iterator[str]:
    columns = (*export.fields, *export.metrics)
    if not columns:
        yield 'has neither fields nor metrics: name some, such as "fields": ["productName"].'
    for name, times in collections.Counter(columns).items():
        if name.startswith("_") or name in ADDED_COLUMNS:
            yield f"has the column {shown(name)}, which every stream has anyway: leave it out."
        elif times > 1:
            yield f"has the column {shown(name)} {times} times: name it once."
    # Columns are found in files under any spelling, and many databases do not tell cases apart.
    alike = collections.defaultdict(list)
    for name in dict.fromkeys(columns):
        alike[re.sub(r"[\W_]", "", name).casefold()].append(shown(name))
    for names in alike.values():
        if len(names) > 1:
            yield f"has one column in several spellings ({', '.join(names)}): name one of them."
    for name in export.primary_keys or ():
        if name not in {*columns, *ADDED_COLUMNS, "_row_id"}:
            near = nearest(name, columns)
            remedy = f"did you mean '{near}'?" if near else "name columns of this export."
            yield f"has the primary key {shown(name)}, which is none of its columns: {remedy}"
