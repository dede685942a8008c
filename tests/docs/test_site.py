"""The site: it builds without a warning, and holds everything that the program has."""

from __future__ import annotations

import functools
import html
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from support.processes import ROOT
from tap_autodesk_exports.cli import COMMANDS
from tap_autodesk_exports.plugin.definition import REPOSITORY
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.schema import json_schema
from tap_autodesk_exports.tap import TapAutodeskExports

pytest.importorskip("mkdocs", reason="the site's generator is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@functools.cache
def page(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def words(path: Path) -> str:
    """Return the text of a page, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", page(path)))


def test_every_stream_has_its_columns_key_and_replication(site):
    index = page(site / "dictionary/index.html")
    for name, stream in TapAutodeskExports(config={}, validate_config=False).streams.items():
        home = re.search(rf'href="(?:\./)?(\w+)/#{name}"', index)
        assert home, name
        text = page(site / "dictionary" / home[1] / "index.html")
        section = re.search(rf'<h2 id="{name}">(.*?)(?:<h2 |</article>)', text, re.DOTALL)
        assert section, name
        own = set(stream.schema["properties"]) - {"_export_id", "_exported_at", "_row_id"}
        shown = set(re.findall(r"<tr><td><code>([^<]+)</code>", section[1]))
        assert own - {"_rescued_data"} <= shown, name
        for key in stream.primary_keys:
            assert f"<code>{key}</code>" in section[1].partition("<table")[0], name
        wanted = f"incremental by <code>{stream.replication_key}</code>"
        is_incremental = stream.replication_method == "INCREMENTAL"
        assert (wanted in section[1]) == is_incremental, name


def test_personal_columns_are_marked(site):
    text = page(site / "dictionary/admin/index.html")
    row = re.search(r"<td><code>email</code></td><td>string</td>\s*<td>(.*?)</td>", text)
    assert row
    assert "personal" in row[1]


def test_every_setting_is_in_it(site):
    text = page(site / "settings/index.html")
    for name in json_schema(Settings)["properties"]:
        assert f"<td><code>{name}</code></td>" in text


def test_every_command_is_in_it(site):
    text = words(site / "commands/index.html")
    for name in COMMANDS:
        assert f"Usage: autodesk-exports {name}" in text
    assert "Usage: tap-autodesk-exports" in text


def test_every_exit_code_and_kind_of_failure_is_in_it(site):
    text = words(site / "troubleshooting/index.html")
    for code in ("0", "1", "2", "129 (SIGHUP), 130 (SIGINT), 143 (SIGTERM)"):
        assert f"\n{code}" in text
    for kind in kinds_of_failure():
        assert re.search(rf"{kind}\s*\n\S", text), kind


def kinds_of_failure() -> set[str]:
    """Return the names of the errors that are sentences, as the source declares them."""
    sources = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "tap_autodesk_exports").rglob("*.py")
        if not {"sandbox", "report_page"} & set(path.parts)
    ]
    bases = dict(re.findall(r"^class (\w+)\((\w+)\):", "\n".join(sources), re.MULTILINE))
    found = {"TapError"}
    while more := {name for name, base in bases.items() if base in found} - found:
        found |= more
    assert len(found) > 15
    return found - {"TapError"}


def test_no_link_leads_nowhere_and_nothing_is_loaded_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 50
    for path in pages:
        text = page(path)
        base = Path("/") if path.name == "404.html" else path.parent
        loaded = re.findall(r'<(?:script|img|link)[^>]* (?:src|href)="(https?:[^"]+)"', text)
        assert [each for each in loaded if 'rel="canonical"' not in each] == [], path
        for link in set(re.findall(r'<a [^>]*href="([^"]+)"', text)):
            parts = urlsplit(html.unescape(link))
            if parts.scheme or base == Path("/"):
                check_file(link)
                continue
            target = (base / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path}: {link}"
            if parts.fragment and target.suffix == ".html":
                assert f'id="{parts.fragment}"' in page(target), f"{path}: {link}"


def check_file(link: str) -> None:
    """A link into the repository names a file that is there."""
    if link.startswith(f"{REPOSITORY}/blob/main/"):
        name = link.removeprefix(f"{REPOSITORY}/blob/main/").partition("#")[0]
        assert (ROOT / name).exists(), link
