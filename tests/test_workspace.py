"""Temporary files: what a killed run left goes, what is in use or not ours stays."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.workspace import LOCK_NAME, MARK, MARK_NAME, Workspace, own_folder

KILLED = """
import os
from tap_autodesk_exports.workspace import Workspace
workspace = Workspace()
path = workspace.path
(path / "a").mkdir()
(path / "a" / "rows.csv").write_text("1")
print(path, flush=True)
if __import__("sys").argv[1:]:
    __import__("sys").stdin.read()
os._exit(9)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, elsewhere for this test."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def killed():
    """Leave what a killed run leaves."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 9, done.stderr
    return Path(done.stdout.strip())


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_nothing_is_left_after_a_run(temporary):
    workspace = Workspace()
    (workspace.path / "file").write_text("")
    with workspace.folder() as folder:
        (Path(folder) / "file").write_text("")
    workspace.close()
    assert names(temporary) == []


def test_a_workspace_is_private_in_a_folder_of_the_tap(temporary):
    workspace = Workspace()
    assert workspace.path.parent.parent == temporary
    for folder in (workspace.path, workspace.path.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    workspace.close()


def test_what_a_killed_run_left_is_removed(temporary):
    left = killed()
    assert left.is_dir()
    Workspace().close()
    assert names(temporary) == []


def test_a_workspace_in_use_stays():
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, "waits"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as alive:
        path = Path(alive.stdout.readline().strip())
        workspace = Workspace()
        workspace.close()
        assert names(path) == [LOCK_NAME, MARK_NAME, "a", "a/rows.csv"]


def foreign(temporary):
    """Yield folders that are not workspaces of this tap."""
    yield temporary / "tap-autodesk-exports-0.1.0"
    yield temporary / "tap-autodesk-exports-main"
    yield temporary / "run-abcdefgh"
    yield own_folder() / "run-notours0"
    yield own_folder() / "tap-autodesk-exports-0.1.0"


def test_what_is_not_marked_as_ours_stays(temporary):
    for folder in foreign(temporary):
        folder.mkdir()
        (folder / "pyproject.toml").write_text("[project]")
        (folder / LOCK_NAME).write_text("")
    marked = own_folder() / "run-othermark"
    marked.mkdir()
    (marked / MARK_NAME).write_bytes(MARK + b"?")
    outside = temporary / "run-outside"
    outside.mkdir()
    (outside / MARK_NAME).write_bytes(MARK)
    (outside / "kept").write_text("")
    (own_folder() / "run-linked").symlink_to(outside)
    before = names(temporary)
    Workspace().close()
    assert names(temporary) == before


def test_the_first_release_does_not_take_it_for_its_own():
    """It removes every folder `tap-autodesk-exports-*` that it can lock."""
    workspace = Workspace()
    assert not workspace.path.parent.name.startswith("tap-autodesk-exports-")
    workspace.close()


def test_a_link_inside_a_workspace_is_not_followed(temporary):
    left = killed()
    (temporary / "kept").mkdir()
    (temporary / "kept" / "file").write_text("")
    (left / "link").symlink_to(temporary / "kept")
    (left / "a" / "link").symlink_to(temporary / "kept")
    Workspace().close()
    assert names(temporary) == ["kept", "kept/file"]


def test_a_removal_that_was_interrupted_is_finished_by_the_next_run(temporary):
    left = killed()
    (left / "a" / "rows.csv").unlink()
    (left / "a").rmdir()
    Workspace().close()
    assert names(temporary) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_folder_of_the_same_name_that_others_can_write_into_is_not_used(temporary):
    taken = own_folder()
    taken.chmod(0o777)
    workspace = Workspace()
    assert taken not in workspace.path.parents
    workspace.close()
    assert list(taken.iterdir()) == []
    assert [path for path in temporary.iterdir() if path != taken] == []


def test_a_file_where_the_folder_should_be_is_no_obstacle(temporary):
    own_folder().rmdir()
    name = f"tap-autodesk-exports.{os.getuid()}"
    (temporary / name).write_text("")
    Workspace().close()
    assert names(temporary) == [name]


def test_a_folder_that_cannot_be_made_is_a_sentence(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "none"))
    with pytest.raises(TapError, match=r"No temporary folder can be made \(No such file"):
        Workspace()


def test_runs_that_begin_and_end_together_disturb_none(temporary):
    """And at the end nothing is left, whichever of them removed it."""
    code = (
        "from tap_autodesk_exports.workspace import Workspace\n"
        "for _ in range(40):\n"
        "    workspace = Workspace()\n"
        "    (workspace.path / 'file').write_text('')\n"
        "    assert (workspace.path / 'file').exists()\n"
        "    workspace.close()\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for run in runs:
        _, said = run.communicate(timeout=100)
        assert run.returncode == 0, said
    assert names(temporary) == []
