"""Kind 8: the tap deletes what it made, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import duckdb
import pytest

from support import hostile
from support.attack import COMPANION, POINTS, STREAMS, TAP

pytestmark = pytest.mark.kind(8)

API = "insights"
TEXT = "somebody's work"


def fill(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "precious.txt").write_text(TEXT, "utf-8")
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "code.py").write_text(TEXT, "utf-8")


def old(path):
    """Make a path look as if nobody had used it for a month."""
    when = time.time() - 30 * 86400
    for found in [path, *path.rglob("*")]:
        os.utime(found, (when, when), follow_symlinks=False)


def looks_like_a_lock(folder):
    fill(folder)
    for name in ("lock", ".lock", "in-use", ".in-use", "pid", f"{folder.name}.lock"):
        (folder / name).write_text("", "utf-8")


def names_a_dead_process(folder):
    fill(folder)
    for name in ("pid", ".pid", "owner", "lock"):
        (folder / name).write_text("999999", "utf-8")


PLANTED = {
    "an unpacked release": ("tap-autodesk-exports-0.1.0", fill),
    "a checkout": ("tap-autodesk-exports", fill),
    "a folder like a workspace": ("tap-autodesk-exports-abcd1234", fill),
    "an empty folder like a workspace": ("tap-autodesk-exports-k3x9_0az", Path.mkdir),
    "a folder with locks": ("tap-autodesk-exports-xyzxyzxy", looks_like_a_lock),
    "a folder that names a dead process": ("tap-autodesk-exports-deadbeef", names_a_dead_process),
    "a file like a workspace": (
        "tap-autodesk-exports-file0000",
        lambda path: path.write_text(TEXT, "utf-8"),
    ),
    "a folder in another spelling": ("TAP-AUTODESK-EXPORTS-abcd1234", fill),
    "a folder of the sandbox's kind": ("sandbox-abcd1234", fill),
    "a folder with a dot": (".tap-autodesk-exports", fill),
    "a folder of DuckDB's kind": ("duckdb_temp", fill),
}


@pytest.mark.parametrize(
    ("name", "age"),
    [
        *((name, ("a month old", "new")[n % 2]) for n, name in enumerate(PLANTED)),
        ("a checkout", "a month old"),
        ("an empty folder like a workspace", "a month old"),
    ],
)
@pytest.mark.short("an unpacked release-a month old")
def test_what_is_only_named_like_ours_stays(lab, name, age):
    """A file or folder in TMPDIR that is only named like the tap's own stays."""
    file, make = PLANTED[name]
    path = lab.temporary / file
    make(path)
    if age != "new":
        old(path)
    before = listing(path)
    lab.planted_files = frozenset([file])
    lab.run(lab.config(API), streams=STREAMS[API]).assert_ok()
    assert path.exists()
    assert listing(path) == before


def listing(path):
    return sorted(
        (str(found.relative_to(path.parent)), found.read_text("utf-8") if found.is_file() else None)
        for found in [path, *path.rglob("*")]
    )


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("tap-autodesk-exports-abcd1234", "a folder"),
        ("tap-autodesk-exports", "a folder"),
        ("tap-autodesk-exports", "a file"),
        ("tap-autodesk-exports", "nothing"),
    ],
)
def test_a_link_named_like_ours_and_what_it_leads_to_stay(lab, name, target):
    """A symbolic link named like the tap's own stays, and so does what it leads to."""
    precious = lab.folder / "precious"
    fill(precious)
    goal = {"a folder": precious, "a file": precious / "precious.txt", "nothing": lab.folder / "no"}
    link = lab.temporary / name
    link.symlink_to(goal[target])
    lab.planted_files = frozenset([name])
    run = lab.run(lab.config(API), streams=STREAMS[API])
    assert link.is_symlink()
    assert (precious / "precious.txt").read_text("utf-8") == TEXT
    assert (precious / "src" / "code.py").exists()
    assert sorted(path.name for path in precious.iterdir()) == ["precious.txt", "src"]
    assert run.code in {0, 1}
    if run.code:
        run.assert_sentence("TMPDIR|temporary|" + name)


@pytest.fixture
def killed(lab):
    """What a run leaves in TMPDIR that is killed while it downloads."""
    rule = lab.front.on(POINTS[API]["file"], hostile.silent)
    attempt = lab.begin(lab.config(API), streams=STREAMS[API])
    attempt.wait_until(lambda: rule.met)
    attempt.send(signal.SIGKILL)
    attempt.end(checked=False)
    lab.front.clear()
    return sorted(lab.temporary.rglob("*"))


@pytest.mark.short("what_a_killed_run_left_is_deleted")
def test_what_a_killed_run_left_is_deleted(lab, killed):
    """What a killed run left is deleted by the next one."""
    assert killed
    lab.run(lab.config(API), streams=STREAMS[API]).assert_ok()
    assert not [path for path in killed if path.is_file()]


def workspace(killed):
    """The killed run's own folder: the deepest one that holds files, or the deepest at all."""
    folders = [path.parent for path in killed if path.is_file()] or killed
    return max((path for path in folders if path.is_dir()), key=lambda path: len(path.parts))


def test_a_copy_without_the_mark_stays(lab, killed):
    """A folder beside a left-over one, without the mark that the tap writes, stays."""
    place = workspace(killed)
    twin = place.parent / "tap-autodesk-exports-zzzzzzzz"
    fill(twin)
    stranger = place.parent / "something else"
    fill(stranger)
    lab.planted_files = frozenset(
        {twin.relative_to(lab.temporary).parts[0], stranger.relative_to(lab.temporary).parts[0]}
    )
    lab.run(lab.config(API), streams=STREAMS[API]).assert_ok()
    assert (twin / "precious.txt").exists()
    assert (stranger / "src" / "code.py").exists()


def test_a_link_inside_a_left_over_folder_is_not_followed(lab, killed):
    """A symbolic link inside a left-over folder is removed, not what it leads to."""
    precious = lab.folder / "precious"
    fill(precious)
    (workspace(killed) / "link").symlink_to(precious)
    lab.run(lab.config(API), streams=STREAMS[API]).assert_ok()
    assert (precious / "precious.txt").exists()
    assert (precious / "src" / "code.py").exists()


def test_a_left_over_folder_that_cannot_be_deleted_stops_nothing(lab, killed):
    """A left-over folder that cannot be deleted stops no run."""
    place = workspace(killed)
    lab.planted_files = frozenset({place.relative_to(lab.temporary).parts[0]})
    deep = place
    for _ in range(40):  # a path that is too long for one call
        deep = deep / ("d" * 100)
    here = os.getcwd()  # noqa: PTH109
    os.chdir(place)
    try:
        for _ in range(40):
            os.mkdir("d" * 100)  # noqa: PTH102
            os.chdir("d" * 100)
    finally:
        os.chdir(here)
    run = lab.run(lab.config(API), streams=STREAMS[API])
    shutil.rmtree(place, ignore_errors=True)
    run.assert_ok()


def test_a_folder_in_use_by_another_run_stays(lab):
    """The folder of a run that is still going stays, and that run ends well."""
    rule = lab.front.on(POINTS[API]["file"], hostile.slow(4, hostile.forward), times=1)
    first = lab.begin(lab.config(API), streams=STREAMS[API], pace=1)
    first.wait_until(lambda: rule.met)
    lab.planted_files = frozenset(path.name for path in lab.temporary.iterdir())
    lab.run(lab.config(API), streams=STREAMS[API]).assert_ok()
    lab.planted_files = frozenset()
    first.end().assert_ok()


def test_two_users_do_not_delete_each_others(lab, killed):
    """A left-over folder of another user stays where it cannot be told to be ours."""
    if os.geteuid():
        pytest.skip("only root can make files of another user")
    place = workspace(killed)
    for path in [place, *place.rglob("*")]:
        os.chown(path, 54_321, 54_321)
    lab.planted_files = frozenset({place.relative_to(lab.temporary).parts[0]})
    lab.run(lab.config(API), streams=STREAMS[API]).assert_ok()


PLACES = {
    "a name with blanks and quotes": 'it\'s a "folder" of mine',
    "a name with letters of any kind": "временно-一時",
    "a name with a percent sign": "100%25 %s {x}",
    "a name that looks like an option": "-rf",
    "a name with a line feed": "two\nlines",
    "a name that SQL reads": "a'; DROP TABLE x; --",
    "a name with brackets and a star": "[a]*?",
}


@pytest.mark.parametrize(
    ("name", "api"),
    [(name, ("insights", "data_connector")[n % 2]) for n, name in enumerate(PLACES)],
)
def test_any_folder_serves_for_temporary_files(lab, name, api):
    """A TMPDIR of any name serves, and what else is in it stays."""
    place = lab.folder / PLACES[name]
    fill(place)
    lab.temporary = place
    lab.planted_files = frozenset({"precious.txt", "src"})
    before = listing(place)
    lab.run(lab.config(api), streams=STREAMS[api]).assert_ok()
    kept = [found for found in listing(place) if found in before]
    assert kept == before


MISSING = {
    "is not there": lambda folder: folder / "nowhere",
    "is a file": lambda folder: folder / "config.json",
    "is relative": lambda _: Path("relative"),
    "is empty": lambda _: "",
    "is a device": lambda _: "/dev/full",
}


@pytest.mark.parametrize("name", MISSING)
def test_a_tmpdir_that_cannot_be_used_is_no_traceback(lab, name):
    """A TMPDIR that cannot be used costs nothing but a sentence."""
    (lab.folder / "relative").mkdir()
    env = {"TMPDIR": str(MISSING[name](lab.folder))}
    run = lab.run(lab.config(API), streams=STREAMS[API], env=env)
    assert run.code in {0, 1}
    if run.code:
        run.assert_sentence("TMPDIR|temporary")


def test_files_beside_batches_stay(lab):
    """Files in the folder of the batches that the tap did not write stay as they are."""
    root = lab.folder / "batches"
    fill(root)
    for name in ("insights_users.json", "insights_users.jsonl.gz", "part-0.parquet"):
        (root / name).write_text(TEXT, "utf-8")
    before = listing(root)
    config = lab.config(
        API, batch_config={"encoding": {"format": "parquet"}, "storage": {"root": root.as_uri()}}
    )
    lab.run(config, streams=STREAMS[API]).assert_ok()
    now = dict(safe_listing(root))
    assert {name: now.get(name) for name, _ in before} == dict(before)


def safe_listing(path):
    for found in [path, *path.rglob("*")]:
        name = str(found.relative_to(path.parent))
        yield name, found.read_bytes().decode("utf-8", "replace") if found.is_file() else None


def test_a_run_that_fails_deletes_nothing_of_the_folder_it_runs_in(lab):
    """A run deletes and changes nothing in the folder that it runs in."""
    place = lab.folder / "project"
    fill(place)
    for name in (".env", "meltano.yml", "catalog.json", "state.json"):
        (place / name).write_text(json.dumps({"x": TEXT}), "utf-8")
    before = listing(place)
    lab.front.on("* *", hostile.answer(500, b"{}"))
    lab.run(lab.config(API), streams=STREAMS[API], cwd=place, program=TAP)
    assert listing(place) == before


@pytest.mark.parametrize("kind", ["DuckDB", "SQLite"])
def test_a_table_of_somebody_else_keeps_its_rows(lab, kind):
    """An export deletes no rows of a table that no export has written, however it is called."""
    path = lab.folder / f"warehouse.{kind.lower()}"
    connect = duckdb.connect if kind == "DuckDB" else sqlite3.connect
    with contextlib.closing(connect(str(path))) as database:
        database.execute("CREATE TABLE insights_users (email TEXT, note TEXT)")
        database.execute("INSERT INTO insights_users VALUES ('a', 'precious')")
        database.commit()
    to = str(path) if kind == "DuckDB" else f"sqlite:///{path}"
    run = lab.run(
        lab.config(API), "export", "insights_users", "--to", to, "--full-refresh",
        program=COMPANION,
    )  # fmt: skip
    run.assert_sentence("no export has written")
    with contextlib.closing(connect(str(path))) as database:
        found = database.execute("SELECT * FROM insights_users").fetchall()
    assert found == [("a", "precious")]
