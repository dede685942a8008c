"""Wrong settings, states and catalogs, given to the tap as a user gives them."""

import json
import subprocess

import pytest

from support.processes import BIN, ROOT, clean_environment

CASES = ROOT.parent / "shared" / "cases"
SECRET = "s3cr3t-value-of-this-test"


@pytest.fixture
def tap(tmp_path):
    """`tap(*arguments, **files)` writes files, runs the tap and returns its exit code and log."""

    def run(*arguments, env=None, **files):
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [BIN / "tap-autodesk-exports", *arguments],
            capture_output=True,
            encoding="utf-8",
            check=False,
            cwd=tmp_path,
            env={**clean_environment(), **(env or {})},
        )
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stderr
        return done.returncode, done.stderr

    return run


WRONG = {
    "client_id": "an-app",
    "client_secret": [SECRET],
    "hash_colums": ["*.email"],
    "lookback_days": "a month",
    "credentials": {"insights": {SECRET: "x"}},
    "data_connector_service_groups": ["isues"],
    "tokenflex_exports": [{"name": "usage", "fields": ["productName"]}],
}
SENTENCES = (
    "6 settings are wrong:",
    "- Setting 'hash_colums' does not exist: did you mean 'hash_columns'?",
    "- Setting 'client_secret' is not text: write it in quotes.",
    "- Setting 'lookback_days' ('a month') is not a whole number: write it as 30.",
    "- Setting 'credentials.insights' has a name that does not exist: the names are client_id,",
    "- Setting 'data_connector_service_groups' names 'isues', which is no service group: did you",
    "- Setting 'tokenflex_exports[0]' has the name 'usage', and a stream 'tokenflex_usage' is",
)


@pytest.mark.parametrize("mode", [[], ["--test"], ["--discover"]])
def test_all_that_is_wrong_is_said_at_once(tap, mode):
    code, said = tap("--config", "config.json", *mode, config=WRONG)
    assert code == 1
    for sentence in SENTENCES:
        assert sentence in said


@pytest.mark.parametrize(
    ("arguments", "files", "sentence"),
    [
        (["--config", "none.json"], {}, "The settings file none.json cannot be read (No such file"),
        (["--config", "a.json"], {"a": "{"}, "The settings file a.json is not JSON (Expecting"),
        (["--config", "a.json"], {"a": "[]"}, "The settings file a.json holds no JSON object"),
        (["--state", "a.json"], {"a": SECRET}, "The state a.json is not JSON (Expecting value"),
        (["--state", "a.json"], {"a": "null"}, "The state a.json holds no JSON object"),
        (["--catalog", "a.json"], {"a": ""}, "The catalog a.json is empty"),
        (["--state", "none.json"], {}, "none.json"),
    ],
)
@pytest.mark.parametrize("mode", [[], ["--discover"]])
def test_a_file_that_cannot_be_read_is_a_sentence(tap, mode, arguments, files, sentence):
    if mode and "--config" not in arguments:
        pytest.skip("discovery reads neither state nor catalog")
    code, said = tap(*arguments, *mode, **files)
    assert code in {1, 2}
    assert sentence in said


def test_a_value_of_the_environment_is_read_or_a_sentence(tap):
    env = {
        "TAP_AUTODESK_EXPORTS_APIS": '["insights"',
        "TAP_AUTODESK_EXPORTS_LOOKBACK_DAYS": "a month",
        "TAP_AUTODESK_EXPORTS_POLL_INTERVAL_SECONDS": "0.5",
        "TAP_AUTODESK_EXPORTS_SANDBOX": "yes",
    }
    code, said = tap("--config", "ENV", env=env)
    assert code == 1
    assert "2 settings are wrong:" in said
    assert "Setting 'lookback_days' ('a month') is not a whole number: write it as 30." in said
    assert 'is not a list: write it as ["insights"].' in said


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
def test_the_case_of_own_exports_is_refused(tap):
    config = json.loads((CASES / "10_own_exports.json").read_text(encoding="utf-8"))
    code, said = tap("--config", "config.json", config=config)
    assert code == 1
    assert "3 settings are wrong:" in said
    for sentence in ("the name 'a' 2 times", "'tokenflex_usage' is there", "the column '_row_id'"):
        assert sentence in said
