"""Faults of the server, the storage and the network: each of them in front of each API.

The first run meets the fault, as its own process over real HTTP. Whatever became of it, the next
run ends with the rows of a run without faults, and the sandbox counts no export too many.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping


APIS = ("insights", "tokenflex", "data_connector")
LOOK, LINK = "look", "link"
"""Stand for the endpoint's name in each API."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A fault, and what is promised for it.

    Attributes:
        name: What happens.
        fault: Fields of the sandbox's fault.
        code: Exit code of the run that meets it.
        says: Part of what that run must log.
        extra: API -> exports that are asked for once more, because the server lost or failed them.
        apis: The APIs that can have it.
        order: How the run is begun, where not as always.
        config: Further settings of the run.
    """

    name: str
    fault: Mapping[str, Any]
    code: int = 0
    says: str = ""
    extra: Mapping[str, int] = dataclasses.field(default_factory=dict)
    apis: tuple[str, ...] = APIS
    order: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def fault(effect: str, endpoint: str, **fields: Any) -> dict[str, Any]:
    return {"effect": effect, "endpoint": endpoint, **fields}


def answer(status: int, endpoint: str, **fields: Any) -> dict[str, Any]:
    return fault("status", endpoint, status=status, **fields)


ALWAYS = {"times": None}
AGAIN = {"insights": 1, "data_connector": 1}
CUTS = {
    "within its header": lambda header: header // 2,
    "behind its header": lambda header: header - 1,
    "within a row": lambda header: header + 8,
}
"""Where a file ends -> bytes that are left of it, by those of its header with the line end."""
PAGE = "is an HTML or XML page, not a table"

ROWS = (
    # Refusals
    Row("401 while looking", answer(401, LOOK, **ALWAYS), 1, "access_token"),
    Row("403 while looking", answer(403, LOOK, **ALWAYS), 1, "Usual causes: (1)"),
    Row("403 to the POST", answer(403, "submit", **ALWAYS), 1, "Usual causes: (1)"),
    Row("400 to the POST", answer(400, "submit", **ALWAYS), 1, "check the settings"),
    Row(
        "404 of a pending export",
        answer(404, LOOK),
        0,
        "requesting it again",
        dict.fromkeys(APIS, 1),
    ),
    # Limits
    Row("429 with Retry-After while looking", answer(429, LOOK, headers={"Retry-After": "1"})),
    Row("429 without it while looking", answer(429, LOOK)),
    Row("429 with Retry-After to the POST", answer(429, "submit", headers={"Retry-After": "1"})),
    Row("429 without it to the POST", answer(429, "submit")),
    Row("429 for the link", answer(429, LINK, headers={"Retry-After": "1"})),
    Row(
        "a quota used up",
        fault("quota", "submit", **ALWAYS),
        1,
        "limit is used up",
        order={"pace": 0.002},
    ),
    # A server that fails
    *(Row(f"{status} while looking", answer(status, LOOK, times=2)) for status in (500, 502, 503)),
    Row("504 to the POST", answer(504, "submit")),
    Row("503 from the storage", answer(503, "file")),
    Row("500 to the end", answer(500, LOOK, **ALWAYS), 1, "on Autodesk's side"),
    Row("500 for every POST", answer(500, "submit", **ALWAYS), 1, "on Autodesk's side"),
    Row("a page in place of JSON", fault("html", LOOK), 1, "something that is not JSON"),
    # The network
    Row("connections refused while looking", fault("refused", LOOK, seconds=0.2)),
    Row("connections refused to the POST", fault("refused", "submit", seconds=0.2)),
    Row("a reset while looking", fault("reset", LOOK)),
    Row("a reset of the POST", fault("reset", "submit")),
    Row("a reset of the download", fault("reset", "file")),
    Row("the answer to the POST lost", fault("lost", "submit")),
    Row("a look that stalls", fault("stall", LOOK, seconds=60), order={"timeout": 1.5}),
    Row("a download that stalls", fault("stall_body", "file", seconds=60), order={"timeout": 1.5}),
    Row(
        "a POST that is executed after its time-out",
        fault("stall", "submit", seconds=1),
        order={"timeout": 0.6, "pace": 0.3},
    ),
    # Files
    Row("a link that expired", fault("expired_link", "file"), 0, "the link had expired"),
    Row("a link that is gone", answer(410, "file"), 0, "the link had expired"),
    Row("links that always expire", fault("expired_link", "file", **ALWAYS), 1, "stays pending"),
    Row("a truncated body", fault("truncate", "file"), 0, "Trying again"),
    # A storage that has a part of a file only, and says that this is all of it
    *(Row(f"a file cut {where}", fault("wrong_length", "file", cut=where)) for where in CUTS),
    Row("a page in place of a file", fault("html", "file"), 0),
    Row("an XML error in place of a file", fault("xml", "file"), 0),
    Row("a ZIP in place of a file", fault("zip", "file"), 0),
    Row("an empty file", answer(200, "file"), 0),
    Row(
        "a page in place of every file",
        fault("html", "file", **ALWAYS),
        1,
        PAGE,
        dict.fromkeys(APIS, 2),
        apis=("insights", "tokenflex"),
    ),
    Row(
        "a page in place of every listed file",
        fault("html", "file", **ALWAYS),
        1,
        "the listing says",
        apis=("data_connector",),
    ),
    # Exports
    Row("a job that fails once", fault("ends_failed", "submit"), 0, "trying again", AGAIN),
    Row(
        "a job that is cancelled",
        fault("ends_cancelled", "submit"),
        1,
        "was cancelled on the server",
        {"data_connector": 1},
        apis=("data_connector",),
    ),
    Row(
        "an export that expired",
        fault("ends_expired", "submit"),
        0,
        "is 'EXPIRED'",
        {"insights": 1},
        apis=("insights",),
    ),
)
CELLS = [pytest.param(api, row, id=f"{row.name}-{api}") for row in ROWS for api in row.apis]


@pytest.fixture
def case(request):
    from support.cases import CASES

    api = request.getfixturevalue("api")
    return next(case for case in CASES if case.api == api)


@pytest.mark.parametrize(("api", "row"), CELLS)
def test_the_next_run_ends_as_if_nothing_had_happened(bench, clean, api, row):
    where = {"look": bench.case.look, "link": bench.case.link[0]}
    named = {**row.fault, "endpoint": where.get(row.fault["endpoint"], row.fault["endpoint"])}
    if cut := named.pop("cut", None):
        named["after_bytes"] = CUTS[cut](clean.header)
    met = bench.fault(**named)
    bench.config = dict(row.config)
    first = bench.run(**row.order)
    assert met.struck
    assert first.code == row.code, first.stderr
    assert row.says in first.stderr
    assert bench.temporary == []
    if row.code:
        bench.sandbox.faults.clear()
        done = bench.run()
        assert done.code == 0, done.stderr
    bench.assert_whole(clean, extra=row.extra.get(api, 0))
