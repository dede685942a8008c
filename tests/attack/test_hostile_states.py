"""Kind 7: whatever the state holds, it is survived: what cannot be read is named and ignored."""

from __future__ import annotations

import copy
import json

import pytest

from support.attack import COMPANION, STREAMS

pytestmark = pytest.mark.kind(7)

ACCOUNT = "b5db9657-e747-400d-ab2b-13d648d78a0c"
CONTRACT = "110000900002"
SECRETS_LIKE = "73ea1549-3fc0-44b7-824b-8dfcf5ca75f4"


def pending(api, owner, name, slot, body, start=None, end=None):  # noqa: PLR0913, PLR0917
    return {
        "spec": {
            "api": api, "owner": owner, "name": name, "slot": slot, "body": body,
            "start": start, "end": end, "existing": None,
        },
        "asked_at": "2026-11-20T14:35:40.398164Z",
        "mark": None,
        "id": SECRETS_LIKE,
    }  # fmt: skip


STATES = {
    "insights": {
        "bookmarks": {
            "insights_usage": {
                "start": "2026-01-01T00:00:00.000000Z",
                "identity": "_row_id 1; team_id; hashed_autodesk_id; version; access_option; "
                "day_used:date",
                "replication_key": "day_used",
                "replication_key_value": "2026-01-03T00:00:00.000000Z",
            },
        },
        "exports": [
            pending(
                "insights", "", "insights_users", "", {"outputFormat": "CSV", "reports": ["USERS"]}
            ),
        ],
    },
    "tokenflex": {
        "bookmarks": {
            "tokenflex_usage": {
                "partitions": [
                    {
                        "context": {"contract_number": CONTRACT},
                        "identity": "_row_id 1; contract_number; usageCategory; usageDate:date; "
                        "productLineCode; userName",
                        "start": "2026-01-01T00:00:00.000000Z",
                        "replication_key": "usageDate",
                        "replication_key_value": "2026-01-03T00:00:00.000000Z",
                        "processed": {"DESKTOP_PRODUCT": "2026-01-02"},
                        "read_from": "2026-01-01T00:00:00.000000Z",
                    }
                ]
            },
        },
        "exports": [],
    },
    "data_connector": {
        "bookmarks": {
            "admin_users": {
                "partitions": [
                    {"context": {"account_id": ACCOUNT}, "identity": "key; id", "export_id": "x",
                     "columns": "52e30d53"}
                ]
            },
        },
        "exports": [
            pending("data_connector", ACCOUNT, "extract", "snapshot",
                    {"serviceGroups": ["admin"], "projectStatus": "all"}),
        ],
    },
}  # fmt: skip
VALUES = {
    "null": None, "a number": 5, "text": "something", "a list": [1, "x"], "an object": {"a": 1},
    "true": True, "a list of lists": [[]], "a fraction": 1.5,
}  # fmt: skip
ENTRY = ("exports.0", "exports.0.spec", "exports.0.spec.api", "exports.0.spec.owner",
         "exports.0.spec.name", "exports.0.spec.slot", "exports.0.spec.body",
         "exports.0.spec.start", "exports.0.spec.end", "exports.0.spec.existing",
         "exports.0.asked_at", "exports.0.mark", "exports.0.id")  # fmt: skip
PATHS = [
    *(("insights", path) for path in ("exports", *ENTRY)),
    *(("data_connector", path) for path in ENTRY[1:9:2]),
    ("insights", "bookmarks"),
    ("insights", "bookmarks.insights_usage"),
    ("insights", "bookmarks.insights_usage.start"),
    ("insights", "bookmarks.insights_usage.replication_key"),
    ("insights", "bookmarks.insights_usage.replication_key_value"),
    *(
        ("tokenflex", f"bookmarks.tokenflex_usage.partitions{path}")
        for path in ("", ".0", ".0.context", ".0.context.contract_number", ".0.start",
                     ".0.processed", ".0.processed.DESKTOP_PRODUCT", ".0.read_from",
                     ".0.replication_key_value")
    ),
    *(
        ("data_connector", f"bookmarks.admin_users.partitions{path}")
        for path in (".0.context.account_id", ".0.export_id", ".0.columns")
    ),
]  # fmt: skip
MUTATIONS = [
    (api, path, list(VALUES)[(n * 3 + turn * 5) % len(VALUES)])
    for n, (api, path) in enumerate(PATHS)
    for turn in range(2)
]


def mutated(api, path, value):
    state = copy.deepcopy(STATES[api])
    *parents, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    place = state
    for name in parents:
        place = place[name]
    place[last] = value
    return state


def assert_survived(lab, api, state):
    run = lab.run(lab.config(api), streams=STREAMS[api], state=state)
    run.assert_ok()
    assert run.records(STREAMS[api][1])
    return run


@pytest.mark.parametrize(
    ("api", "path", "name"), MUTATIONS, ids=[f"{a}, {p} is {n}" for a, p, n in MUTATIONS]
)
def test_any_value_in_any_place_is_survived(lab, api, path, name):
    """A value of any kind in any place of the state is survived, and the rest is used."""
    assert_survived(lab, api, mutated(api, path, VALUES[name]))


UNREADABLE = [
    ("insights", "exports", "text"),
    ("insights", "exports.0", "a number"),
    ("insights", "exports.0.spec", "a list"),
    ("insights", "exports.0.spec.body", "text"),
    ("insights", "bookmarks", "a list"),
    ("insights", "bookmarks.insights_usage", "text"),
    ("insights", "bookmarks.insights_usage.replication_key_value", "an object"),
    ("tokenflex", "bookmarks.tokenflex_usage.partitions", "a number"),
    ("tokenflex", "bookmarks.tokenflex_usage.partitions.0", "text"),
]


@pytest.mark.parametrize(
    ("api", "path", "name"), UNREADABLE, ids=[f"{a}, {p} is {n}" for a, p, n in UNREADABLE]
)
@pytest.mark.short("insights, exports.0.spec is a list")
def test_what_cannot_be_read_is_named(lab, api, path, name):
    """What of a state cannot be read is named in a warning."""
    run = assert_survived(lab, api, mutated(api, path, VALUES[name]))
    assert "state" in run.complaints or "bookmark" in run.complaints, run.tail()


def with_field(place):
    def change(state):
        for name in place:
            state = state[name]
        state.update(priority="high", retries=[1, 2], nested={"a": {"b": None}})

    return change


NEWER = {
    "an export": ("insights", with_field(["exports", 0])),
    "a specification": ("insights", with_field(["exports", 0, "spec"])),
    "a specification of an extract": ("data_connector", with_field(["exports", 0, "spec"])),
    "a bookmark": ("insights", with_field(["bookmarks", "insights_usage"])),
    "a partition": ("tokenflex", with_field(["bookmarks", "tokenflex_usage", "partitions", 0])),
    "the state": ("insights", with_field([])),
    "the bookmarks": ("insights", with_field(["bookmarks"])),
    "an unknown API": (
        "insights", lambda s: s["exports"].append(pending("forma", "", "x", "", {})),
    ),
    "an unknown stream": (
        "insights",
        lambda s: s["exports"].append(pending("insights", "", "insights_costs", "2027", {})),
    ),
    "an export twice": ("insights", lambda s: s["exports"].append(s["exports"][0])),
    "an export that is missing something": ("insights", lambda s: s["exports"].append({"id": "x"})),
    "a body of another form": (
        "insights", lambda s: s["exports"][0]["spec"]["body"].update(outputFormat=7, reports=None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEWER)
@pytest.mark.short("a specification")
def test_a_state_of_another_release_is_survived(lab, name):
    """Fields and entries of a newer release are survived: a downgrade loses nothing."""
    api, change = NEWER[name]
    state = copy.deepcopy(STATES[api])
    change(state)
    assert_survived(lab, api, state)


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


FOREIGN = {
    "an empty object": {},
    "bookmarks that are null": {"bookmarks": None},
    "bookmarks that are a list": {"bookmarks": []},
    "exports that are an object": {"exports": {"a": 1}},
    "another tap's": {"currently_syncing": "users", "bookmarks": {"users": {"since": "2026"}}},
    "another tap's with our names": {
        "bookmarks": {"insights_users": {"version": 1, "last_record": [1]}, "insights_usage": 7}
    },
    "a whole message": {"type": "STATE", "value": STATES["insights"]},
    "Meltano's own form": {"singer_state": STATES["insights"]},
    "Meltano's other form": {"completed": {"singer_state": {}}, "partial": {}},
    "progress markers": {
        "bookmarks": {"insights_usage": {"progress_markers": {"Note": "x", "replication_key": 1}}}
    },
    "a starting marker": {"bookmarks": {"insights_usage": {"starting_replication_value": ["x"]}}},
    "a name that is empty": {"bookmarks": {"": {}}, "": ""},
    "a list, deeply nested": {"bookmarks": {"insights_usage": {"x": nested(300)}}},
    "ten thousand exports": {"exports": [{**STATES["insights"]["exports"][0], "id": f"{n}"}
                                         for n in range(10_000)]},
    "a hundred thousand bookmarks": {"bookmarks": {f"s{n}": {} for n in range(100_000)}},
    "names of any kind": {"bookmarks": {"☃\u0000\ud800": {"a": "\u2028"}, "__proto__": {}}},
    "a name twice": '{"bookmarks": {}, "bookmarks": {"insights_usage": null}, "exports": []}',
    "numbers that are none": '{"bookmarks": {"insights_usage": {"replication_key_value": NaN}}}',
    "a number beyond all": '{"bookmarks": {"insights_usage": {"start": 1e999}}}',
    "a huge number": '{"bookmarks": {"insights_usage": {"start": ' + "9" * 5000 + "}}}",
    "blank lines around": "\n\n {} \n",
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_state_is_survived(lab, name):
    """A state of another tap, of another form or of any JSON is survived."""
    assert_survived(lab, "insights", FOREIGN[name])


NO_OBJECTS = {"null": "null", "a list": "[]", "a number": "5", "text": '"x"', "a BOM": "\ufeff{}"}


@pytest.mark.parametrize("name", NO_OBJECTS)
def test_a_state_that_is_no_object_is_named(lab, name):
    """A state that is JSON and no object is named in a sentence, or survived."""
    run = lab.run(lab.config("insights"), streams=STREAMS["insights"], state=NO_OBJECTS[name])
    if run.code:
        run.assert_sentence("state")
    else:
        assert run.records("insights_users")


TIMES = {
    "in the far future": "9999-12-31T23:59:59.999999Z",
    "in the far past": "0001-01-01T00:00:00Z",
    "no date": "yesterday",
    "no such date": "2026-02-30T00:00:00Z",
    "an offset that is none": "2026-01-03T00:00:00+99:99",
    "a date alone": "2026-01-03",
    "without a zone": "2026-01-03T00:00:00",
    "with an offset": "2026-01-03T02:00:00+02:00",
    "empty": "",
    "blanks around": " 2026-01-03T00:00:00Z ",
    "seconds since 1970": "1767398400",
    "a year of five digits": "20260-01-03T00:00:00Z",
    "digits of another script": "\uff12\uff10\uff12\uff16-01-03T00:00:00Z",
}


@pytest.mark.parametrize(
    ("name", "where"),
    [(name, ("replication_key_value", "start")[n % 3 == 2]) for n, name in enumerate(TIMES)],
)
def test_a_bookmark_of_any_time_is_survived(lab, name, where):
    """A bookmark in the future, in the past or of no time at all is survived."""
    state = mutated("insights", f"bookmarks.insights_usage.{where}", TIMES[name])
    config = lab.config("insights", start_date="2026-06-01", end_date="2026-06-10")
    run = lab.run(config, streams=STREAMS["insights"], state=state)
    run.assert_ok()


IDS = {
    "a path upwards": "../contexts",
    "a path upwards, escaped": "..%2Fcontexts",
    "a path upwards far": "../../../../etc/passwd",
    "a query": "x?status=COMPLETED",
    "a fragment": "x#y",
    "a slash": "a/b",
    "another host": "//evil.test/x",
    "a line end": "x\r\nX-Evil: yes\r\n\r\n",
    "a blank": " ",
    "a long one": "x" * 20_000,
    "not ASCII": "☃/é",
    "a semicolon": "a;b=c",
    "a backslash": "..\\contexts",
    "a NUL": "a\u0000b",
    "a lone surrogate": "a\ud800b",
    "a dot": ".",
    "two dots": "..",
}


@pytest.mark.parametrize(
    ("api", "name"), [(("insights", "data_connector")[n % 2], name) for n, name in enumerate(IDS)]
)
def test_an_id_of_the_state_leads_nowhere_else(lab, api, name):
    """An ID in the state that is none is asked for under its own address, or not at all."""
    state = copy.deepcopy(STATES[api])
    state["exports"][0]["id"] = IDS[name]
    assert_survived(lab, api, state)
    for request in lab.front.requests:
        assert request.host == lab.front.netloc
        assert "/etc/" not in request.path
        assert "X-Evil" not in dict(request.headers)
        assert ".." not in request.path.split("/")


KEPT = {
    "bookmarks that are a list": ("state", "bookmarks", []),
    "bookmarks that are a number": ("state", "bookmarks", 5),
    "a bookmark that is text": ("state", "bookmarks", {"insights_users": "x"}),
    "exports that are true": ("state", "exports", True),
    "names that are a list": ("state", "names", [[]]),
    "names that are no text": ("state", "names", {"insights_users": {"email": 5}}),
}


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.short("bookmarks that are a list")
def test_a_state_that_a_destination_keeps_is_survived(lab, name):
    """The state that a destination keeps is survived in the same way."""
    folder = lab.folder / "all"
    arguments = ("export", "insights_users", "--to", f"{folder}/")
    lab.run(lab.config("insights"), *arguments, program=COMPANION).assert_ok()
    path = folder / "_autodesk_exports_state.json"
    kept = json.loads(path.read_text("utf-8"))
    *parents, last, value = KEPT[name]
    place = kept
    for parent in parents:
        place = place[parent]
    place[last] = value
    path.write_text(json.dumps(kept), "utf-8")
    lab.run(lab.config("insights"), *arguments, program=COMPANION).assert_ok()
