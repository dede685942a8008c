"""The README's quick start, command by command as it is written, from an empty folder to rows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import BIN, ROOT, clean_environment
from tap_autodesk_exports.sandbox import Sandbox, credentials
from tap_autodesk_exports.settings.config import environment_variables

README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK_START = README[README.index("## Quick start") : README.index("### Which sign-in")]
BLOCKS = re.findall(r"```bash\n(.*?)```", QUICK_START, re.DOTALL)
WITH_SANDBOX, WITH_ACCOUNT, WITHOUT_MELTANO = BLOCKS
LISTED = """
. venv/bin/activate && cd autodesk
meltano config list tap-autodesk-exports
meltano select tap-autodesk-exports --list
"""
BROWSER = """#!{python}
import sys, requests
sent = requests.post(sys.argv[1], {{"answer": "allow"}}, allow_redirects=False, timeout=30)
requests.get(sent.headers["Location"], timeout=30)
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """The package as it would be on a registry."""
    folder: Path = tmp_path_factory.mktemp("wheels")
    command = [str(BIN / "uv"), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)]
    constraint = ["--build-constraint", str(ROOT / "requirements/build.txt")]
    subprocess.run([*command, *constraint], check=True, env=environment(folder))
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return a stranger's environment: no virtual environment, an empty home, the same registry."""
    found = {name: value for name, value in clean_environment().items() if name != "VIRTUAL_ENV"}
    found["PATH"] = ":".join(part for part in found["PATH"].split(":") if part != str(BIN))
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & found.keys():
        # uv does not read pip's configuration, which may name another index.
        command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if index := found.get("PIP_INDEX_URL") or asked.stdout.strip():
            found["UV_DEFAULT_INDEX"] = index
    caches = {
        f"{tool.upper()}_CACHE_DIR": found.get(
            f"{tool.upper()}_CACHE_DIR", str(Path("~/.cache").expanduser() / tool)
        )
        for tool in ("uv", "pip")
    }
    return {**found, **caches, "HOME": str(home), **more}


def run(commands: str, folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@pytest.mark.timeout(900)
def test_the_quick_start_ends_in_rows(wheels, tmp_path):
    links = {"PIP_FIND_LINKS": str(wheels), "UV_FIND_LINKS": str(wheels)}
    env = environment(tmp_path, **links)
    said = run(WITH_SANDBOX, tmp_path, env)
    assert re.search(r"│ .*[A-Za-z].*│ +[1-9]\d* │", said), said[-3000:]
    assert "0 failed" in said
    # What else a project does with a plugin works without another line.
    listed = run(LISTED, tmp_path, env)
    assert "start_date" in listed
    assert re.search(r"\[selected +\] insights_users\.email", listed)
    # The second part, signed in as a user of a sandbox that stands for Autodesk.
    browser = tmp_path / "browser"
    browser.write_text(BROWSER.format(python=sys.executable))
    browser.chmod(0o755)
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        commands = WITH_ACCOUNT.replace("YOUR-APP", credentials.PUBLIC_CLIENT_ID)
        commands = commands.replace("YOUR-ACCOUNT", sandbox.account_id)
        settings = environment_variables({"api_url": sandbox.url, "start_date": "2026-11-01"})
        signed_in = {**env, **settings, "BROWSER": f"{browser} %s"}
        activated = f". venv/bin/activate && cd autodesk\n{commands}"
        said = run(activated, tmp_path, signed_in)
    assert f"Signed in as {credentials.USER_EMAIL}" in said
    assert "0 failed" in said
    assert (tmp_path / "autodesk/output/admin_users.jsonl").stat().st_size > 0


def test_without_meltano_it_ends_in_rows_too(wheels, tmp_path):
    env = environment(tmp_path, PIP_FIND_LINKS=str(wheels))
    said = run(WITHOUT_MELTANO, tmp_path, env)
    assert int(said.splitlines()[-1]) > 0
