from __future__ import annotations

import requests
from served import by_stream

from support.sandbox_client import JOB_SECONDS, Client
from tap_autodesk_exports.sandbox import Sandbox


def test_a_list_that_grows_agrees_with_any_of_its_answers_and_a_file_with_its_rows_alone() -> None:
    with Sandbox(scale=0.1, job_seconds=JOB_SECONDS) as sandbox:
        client = Client(sandbox)
        for _ in range(2):
            export = client.insights(outputFormat="CSV", reports=["USERS"])
            client.get("/insights/v1/exports")
        rows = requests.get(export["downloads"][0]["downloadURL"], timeout=60).text.count("\n") - 1
        served = by_stream(sandbox.url, sandbox.token)
    found = served["insights_exports"]
    assert (found.agrees(0), found.agrees(1), found.agrees(2), found.rows) == (False, True, True, 2)
    users = served["insights_users"]
    assert (users.agrees(rows), users.agrees(rows - 1), rows > 1) == (True, False, True)
