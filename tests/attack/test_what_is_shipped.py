"""Kind 11: what is shipped is known, and so is how to report a hole in it."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from support import processes

pytestmark = pytest.mark.kind(11)

ROOT = processes.ROOT


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def workflows():
    return "\n".join(path.read_text("utf-8") for path in (ROOT / ".github").rglob("*.y*ml"))


BOUNDS = {"urllib3": "1.26.20", "requests": "2.31.0", "duckdb": "1.4.0", "filelock": "3.12.0",
          "joserfc": "1.5.0"}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_releases_that_are_no_good_are_excluded(project, name):
    """A release of a library that would break a promise cannot be installed beside the tap."""
    wanted = [Requirement(text) for text in project["project"]["dependencies"]]
    found = [one for one in wanted if one.name.lower() == name]
    assert found, f"{name} is no dependency of its own"
    assert not found[0].specifier.contains(Version(BOUNDS[name]))


@pytest.mark.short("every_import_is_a_dependency")
def test_every_import_is_a_dependency(project):
    """Every library that the package imports is a dependency that it names."""
    named = {
        Requirement(text).name.lower().replace("_", "-")
        for texts in (
            project["project"]["dependencies"],
            *project["project"].get("optional-dependencies", {}).values(),
        )
        for text in texts
    }
    packages = metadata.packages_distributions()
    pattern = re.compile(r"^\s*(?:from|import) ([a-z_0-9]+)", re.MULTILINE)
    used = {
        name
        for path in (ROOT / "tap_autodesk_exports").rglob("*.py")
        for name in pattern.findall(path.read_text("utf-8"))
    }
    from_elsewhere = {
        distribution.lower().replace("_", "-")
        for name in used - {"tap_autodesk_exports"}
        for distribution in packages.get(name, ())
    }
    # By joserfc, flask, every ADBC driver, and whatever knows buckets.
    carried = {"cryptography", "markupsafe", "werkzeug", "adbc-driver-manager", "fsspec"}
    assert from_elsewhere - named - carried == set()


@pytest.mark.parametrize("name", ["tap.txt", "dev.txt"])
def test_locks_have_hashes(name):
    """Every locked release has its hashes, and no index is named."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    entries = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    assert entries
    assert text.count("--hash=sha256:") >= len(entries)
    assert "--index-url" not in text
    assert "http://" not in text


def test_releases_come_with_their_parts_and_their_origin():
    """Each release comes with a CycloneDX bill of materials and its build's provenance."""
    text = workflows().lower()
    assert "cyclonedx" in text
    assert "attest" in text or "provenance" in text


def test_licences_are_checked():
    """CI checks the licences of what is shipped."""
    assert re.search(r"licen[cs]e", workflows(), re.IGNORECASE)


def test_actions_are_pinned():
    """Every action of CI is pinned to a commit."""
    uses = re.findall(r"uses:\s*([^\s#]+)", workflows())
    assert uses
    loose = [
        use for use in uses if not use.startswith("./") and not re.search("@[0-9a-f]{40}$", use)
    ]
    assert loose == []


def test_updates_are_grouped():
    """Updates of dependencies come in groups."""
    (path,) = (ROOT / ".github").glob("dependabot.y*ml")
    text = path.read_text("utf-8")
    assert "groups:" in text
    assert "pip" in text or "uv" in text


def test_a_report_has_its_way():
    """SECURITY.md says how to report, and promises what this suite tries."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert re.search("report", text, re.IGNORECASE)
    assert "| kind | promises | trials | kept |" in text


def test_what_is_shipped_holds_no_secret_and_no_place():
    """Nothing that is shipped names a place of its making or holds a key."""
    made_in = {ROOT, Path.home()} - {Path("/")}
    places = "|".join(re.escape(str(place)) for place in made_in)
    names = re.compile(
        rf"(?:{places})\b|BEGIN (RSA |EC )?PRIVATE KEY|AKIA[0-9A-Z]{{16}}|ghp_[A-Za-z0-9]{{20}}"
    )
    found = [
        str(path)
        for path in (ROOT / "tap_autodesk_exports").rglob("*")
        if path.is_file()
        and path.suffix in {".py", ".json", ".html", ".toml", ".md"}
        and names.search(path.read_text("utf-8", "replace"))
    ]
    assert found == []
