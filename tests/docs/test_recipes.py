"""The recipes of the scheduling page and the Dockerfile, as they stand."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import types
from unittest import mock

import pytest
import yaml

from support.processes import ROOT, clean_environment
from tap_autodesk_exports.plugin.definition import COMMANDS
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import environment_variables
from tap_autodesk_exports.settings.schema import json_schema

PAGE = (ROOT / "docs/scheduling.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
VOLUMES = ["/state", "/tmp"]  # noqa: S108
SCRIPT = "/opt/autodesk/run.sh"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the recipes are for Linux")


@pytest.fixture
def project(tmp_path):
    """A folder as /opt/autodesk, with a Meltano that notes how it was called."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    program(tmp_path / "venv/bin/meltano", '#!/bin/sh\necho "$PWD $*" >>called\n')
    program(tmp_path / "run.sh", RECIPES[SCRIPT])
    return tmp_path


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)


def called(project) -> list[str]:
    return (project / "called").read_text().splitlines()


def wanted(project) -> str:
    return f"{project} run tap-autodesk-exports target-postgres"


def test_the_crontab_line_starts_the_script_and_keeps_its_log(project):
    line = RECIPES["crontab -e"].strip().replace("/opt/autodesk", str(project))
    *schedule, command = line.split(None, 5)
    assert len(schedule) == 5
    subprocess.run(["sh", "-c", command], check=True, env={"PATH": os.environ["PATH"]}, cwd="/")
    assert called(project) == [wanted(project)]
    assert (project / "run.log").exists()


def test_the_script_lets_no_second_run_in(project):
    lock = subprocess.Popen(["flock", "run.lock", "cat"], cwd=project, stdin=subprocess.PIPE)
    try:
        while (
            subprocess.run(["flock", "-n", "run.lock", "true"], cwd=project, check=False).returncode
            == 0
        ):
            pass
        second = subprocess.run([str(project / "run.sh")], check=False)
    finally:
        lock.communicate()
    assert second.returncode == 1
    assert not (project / "called").exists()


def test_the_workflow_names_settings_commands_and_plugins_that_exist():
    workflow = yaml.safe_load(RECIPES[".github/workflows/autodesk.yml"])
    (job,) = workflow["jobs"].values()
    names = {name for name in job["env"] if name.startswith("TAP_AUTODESK_EXPORTS_")}
    known = environment_variables(dict.fromkeys(json_schema(Settings)["properties"], "x"))
    assert names <= set(known)
    assert {"MELTANO_STATE_BACKEND_URI", "TAP_AUTODESK_EXPORTS_TOKEN_STORE"} <= set(job["env"])
    timeout = int(job["env"]["TAP_AUTODESK_EXPORTS_EXPORT_TIMEOUT_MINUTES"])
    assert timeout < job["timeout-minutes"] <= 360
    assert workflow["concurrency"]
    commands = [shlex.split(step["run"]) for step in job["steps"] if "run" in step]
    invoked = [words[2] for words in commands if words[:2] == ["meltano", "invoke"]]
    assert {word.partition(":")[2] for word in invoked} <= set(COMMANDS)
    assert ["meltano", "run", "tap-autodesk-exports", "target-postgres"] in commands


def test_the_airflow_recipe_starts_the_script():
    operators = types.ModuleType("airflow.providers.standard.operators.bash")
    operators.BashOperator = mock.Mock()  # type: ignore[attr-defined]
    sdk = types.ModuleType("airflow.sdk")
    sdk.DAG = mock.MagicMock()  # type: ignore[attr-defined]
    with mock.patch.dict(sys.modules, {operators.__name__: operators, sdk.__name__: sdk}):
        exec(compile(RECIPES["dags/autodesk.py"], "recipe", "exec"), {})  # noqa: S102
    assert sdk.DAG.call_args.kwargs["max_active_runs"] == 1
    assert operators.BashOperator.call_args.kwargs["bash_command"] == f"{SCRIPT} "


def test_the_dagster_recipe_starts_the_script(project):
    dagster = mock.MagicMock()
    dagster.asset = lambda **_: lambda function: function
    text = RECIPES["definitions.py"].replace("/opt/autodesk", str(project))
    found: dict[str, object] = {}
    with mock.patch.dict(sys.modules, {"dagster": dagster}):
        exec(compile(text, "recipe", "exec"), found)  # noqa: S102
    found["autodesk"]()  # type: ignore[operator]
    assert called(project) == [wanted(project)]


def test_the_container_recipe_feeds_a_target_and_keeps_the_last_state(tmp_path):
    (tmp_path / "bin").mkdir()
    noted = 'if sys.argv[1] == "run": print(json.dumps(sys.argv))'
    program(tmp_path / "bin/docker", f"#!{sys.executable}\nimport json, sys\n{noted}\n")
    target = "cat >received\necho '{\"bookmarks\": {}}'"
    program(tmp_path / "bin/target-postgres", f"#!/bin/sh\n{target}\n")
    env = {**clean_environment(), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    recipe = RECIPES["run-container.sh"]
    subprocess.run(["sh", "-euc", recipe], cwd=tmp_path, env=env, check=True)
    arguments = json.loads((tmp_path / "received").read_text())
    assert "--read-only" in arguments
    places = [
        arguments[n + 1].split(":")[1] for n, word in enumerate(arguments) if word == "--volume"
    ]
    (volumes,) = re.findall(r"^VOLUME (.+)", DOCKERFILE, re.MULTILINE)
    assert set(json.loads(volumes)) <= set(places)
    assert (tmp_path / "state.json").read_text() == '{"bookmarks": {}}\n'


def test_the_image_is_made_of_locked_requirements_and_runs_without_rights():
    assert (
        json.loads(re.findall(r"^ENTRYPOINT (.+)", DOCKERFILE, re.MULTILINE)[0])[0]
        in PROJECT["scripts"]
    )
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(r"^USER tap$", final, re.MULTILINE)
    assert json.loads(re.findall(r"^VOLUME (.+)", final, re.MULTILINE)[0]) == VOLUMES
    assert "XDG_STATE_HOME=/state" in final
    for command in re.findall(r"pip install ([^&\n]+)", DOCKERFILE):
        assert "--require-hashes" in command or "--no-deps" in command
    default = re.findall(r"ARG REQUIREMENTS=(\S+)", DOCKERFILE)
    for lock in [*default, *re.findall(r"-r (requirements/\S+)", DOCKERFILE)]:
        assert (ROOT / lock).is_file()
    shipped = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists()
            assert f"!{name.rstrip('/')}" in shipped
    assert "REQUIREMENTS=requirements/stores.txt" in PAGE
    assert (ROOT / "requirements/stores.txt").is_file()


def test_issue_templates_ask_for_the_two_reports():
    folder = ROOT / ".github"
    forms = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("ISSUE*/*.yml")}
    labels = " ".join(part["attributes"].get("label", "") for part in forms["bug"]["body"])
    for text in (labels, (folder / "PULL_REQUEST_TEMPLATE.md").read_text()):
        assert "autodesk-exports doctor --json" in text
        assert "autodesk-exports shapes" in text


def test_the_metadata_has_addresses_extras_and_each_python():
    from tap_autodesk_exports.plugin.definition import REPOSITORY, definition

    assert all(address.startswith(REPOSITORY) for address in PROJECT["urls"].values())
    assert {"s3", "gcs", "azure", "sandbox", "report"} <= set(PROJECT["optional-dependencies"])
    for version in definition()["supported_python_versions"]:
        assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]
