"""The Singer SDK's own tests of a tap, over the sandbox."""

from __future__ import annotations

from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_autodesk_exports.tap import TapAutodeskExports

StandardTests = get_tap_test_class(
    TapAutodeskExports,
    config={"sandbox": True, "data_connector_service_groups": ["admin", "issues"]},
    suite_config=SuiteConfig(max_records_limit=5, ignore_no_records=True),
)


class TestTapAutodeskExports(StandardTests):
    """Discovery, schemas, selection, and five records of each stream."""
