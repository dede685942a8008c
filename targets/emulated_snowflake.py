"""target-snowflake over fakesnow, an emulator of Snowflake on DuckDB; in the target's environment.

`python emulated_snowflake.py FOLDER --config FILE`: the databases are files in the folder. The
emulator knows no stage of a user (`@~`), so PUT, REMOVE and reading from there are done here: a
staged file is read into a table whose one column holds a row's JSON. All statements take turns, as
a connection of DuckDB serves one thread.
"""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fakesnow
from fakesnow.cursor import FakeSnowflakeCursor

PUT = re.compile(r"put '?file://(?P<path>[^' ]+)'? '@~/(?P<stage>[^']+)'", re.IGNORECASE)
IGNORED = re.compile(r"remove '@~/|create or replace file format |drop file format ", re.IGNORECASE)
READ = re.compile(r"'@~/(?P<stage>[^']+)'\s*\(file_format => [^)]*\)", re.IGNORECASE)
MERGE = re.compile(
    r"(?P<before>merge into (?P<schema>\S+\.)\S+ d) using \((?P<source>.*)\) s (?P<after>on .*)",
    re.DOTALL,
)

execute = FakeSnowflakeCursor.execute
staged: dict[str, list[str]] = {}
turn = threading.RLock()


def execute_with_stage(
    cursor: FakeSnowflakeCursor,
    command: str,
    params: Any = None,  # noqa: ANN401 - the emulator's own
    *rest: Any,  # noqa: ANN401
    **named: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Run a statement; what it does with the user's stage is done here."""
    with turn:
        if command.lower().startswith("put") and params:
            command, params = command.replace("%(file_uri)s", params["file_uri"]), None
        if found := PUT.match(command):
            staged.setdefault(found["stage"], []).append(urlsplit(f"//{found['path']}").path)
            command = "SELECT 1"
        elif IGNORED.match(command):
            command = "SELECT 1"
        elif found := READ.search(command):
            files = staged[found["stage"]]
            cursor._duck_conn.execute(  # noqa: SLF001
                "CREATE OR REPLACE TEMP TABLE STAGED AS"  # noqa: S608 - of a file
                " SELECT json AS ROW_JSON, row_number() OVER () AS ROW_AT"
                f" FROM read_json_objects({files}, format = 'newline_delimited')"
            )
            command = READ.sub("STAGED", command)
            command = command.replace("$1:", "ROW_JSON:").replace("SEQ8()", "ROW_AT")
            if merge := MERGE.match(command):
                execute(cursor, f"use schema {merge['schema'][:-1]}")
                source = f"{merge['schema']}SOURCE"
                execute(cursor, f"create or replace table {source} as {merge['source']}")
                command = f"{merge['before']} using {source} s {merge['after']}"
        return execute(cursor, command, params, *rest, **named)


def main() -> None:
    """Run the target with the emulator in Snowflake's place."""
    folder = Path(sys.argv.pop(1))
    FakeSnowflakeCursor.execute = execute_with_stage
    with fakesnow.patch(db_path=folder):
        from target_snowflake.target import TargetSnowflake  # noqa: PLC0415 - not before the patch

        TargetSnowflake.max_parallelism = 1
        TargetSnowflake.cli()


if __name__ == "__main__":
    main()
