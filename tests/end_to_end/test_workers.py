"""Workers side by side in one Meltano project, by the script of examples/airflow."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from support.processes import BIN, ROOT, clean_environment
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings.config import environment_variables

if TYPE_CHECKING:
    from end_to_end.meltano_project import MeltanoProject

SELECT = ["admin_projects", "admin_roles", "issues_issues", "issues_comments", "insights_users"]
GROUPS = ["admin", "issues"]


def load(project: MeltanoProject, part: dict[str, Any]) -> subprocess.Popen[str]:
    """Start examples/airflow/load.sh for a part of the plan; each writes to a folder of its own."""
    output = project.folder / "output" / part["id"]
    output.mkdir(parents=True)
    return subprocess.Popen(
        ["sh", str(ROOT / "examples/airflow/load.sh"), part["id"]],
        env={
            **clean_environment(),
            **environment_variables(project.settings),
            **project.environment,
            **part["env"],
            "AUTODESK_PROJECT": str(project.folder),
            "MELTANO": str(BIN / "meltano"),
            "TARGET": "target-jsonl",
            "TARGET_JSONL_DESTINATION_PATH": str(output),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def rows(project: MeltanoProject) -> Counter[tuple[str, str]]:
    """Return how often each row was loaded: stream, and what it holds but for its provenance."""
    found: Counter[tuple[str, str]] = Counter()
    for path in (project.folder / "output").rglob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = {name: str(value) for name, value in json.loads(line).items() if name[0] != "_"}
            found[path.stem, json.dumps(row, sort_keys=True)] += 1
    return found


@pytest.mark.timeout(600)
def test_two_workers_and_the_rest_side_by_side_in_one_project(project: MeltanoProject):
    with Sandbox(scale=0.2, projects=3, job_seconds=0.2) as sandbox:
        project.settings = {**sandbox.settings(), "data_connector_service_groups": GROUPS}
        patterns = json.dumps([f"{name}.*" for name in SELECT])
        project.environment["TAP_AUTODESK_EXPORTS__SELECT"] = patterns
        done = project.meltano("invoke", "tap-autodesk-exports:plan", "--workers", "2")
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        parts = [*made["extracts"][0]["shards"], made["rest"]]
        assert len(parts) == 3
        workers = [load(project, part) for part in parts]
        logs = [worker.communicate()[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0, 0], logs
        assert sum(export.api == "data_connector" for export in sandbox.exports) == 1
        loaded = rows(project)
        assert {stream for stream, _ in loaded} == set(SELECT)
        config = {"data_connector_service_groups": GROUPS, "data_connector_extract": "latest"}
        whole = in_process.run(sandbox, config, *SELECT)
        assert Counter(stream for stream, _ in loaded.elements()) == Counter(
            {name: len(whole.records(name)) for name in SELECT}
        )
