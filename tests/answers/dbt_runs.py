"""Several runs of dbt in one process, which reads the project once: that takes most of the time.

Runs in dbt's own environment. From standard input comes a JSON array of runs: environment
variables and arguments. To the file that is its argument goes, for each, a line with its results:
unique ID -> status and message.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner


def main() -> None:
    """Run them, with the manifest of the first one: names and variables must not differ."""
    manifest = None
    for order in json.load(sys.stdin):
        os.environ.update(order["environment"])
        if manifest is None:
            manifest = dbtRunner().invoke(["--quiet", "parse"]).result
        done = dbtRunner(manifest=manifest).invoke(["--quiet", *order["arguments"]])
        with Path(sys.argv[1]).open("a", encoding="utf-8") as results:
            results.write(f"{json.dumps(outcome(done))}\n")


def outcome(done: Any) -> dict[str, Any]:
    """Return what became of each node, and of the whole."""
    results = getattr(done.result, "results", done.result) or []
    return {
        "error": str(done.exception) if done.exception else None,
        "nodes": {
            result.node.unique_id: {
                "status": str(result.status),
                "message": result.message,
                "newest": str(getattr(result, "max_loaded_at", "")),
            }
            for result in results
        },
    }


if __name__ == "__main__":
    main()
