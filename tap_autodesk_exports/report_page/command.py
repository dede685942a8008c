"""`autodesk-exports report`: one HTML page out of the marts."""

from __future__ import annotations

from pathlib import Path

import click

from tap_autodesk_exports.errors import TapError

DEFAULT_WAREHOUSE = "output/warehouse.duckdb"


@click.command("report")
@click.argument("warehouse", default=DEFAULT_WAREHOUSE)
@click.option("--schema", default="answers", show_default=True, help="Schema of the marts.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("output/report.html"),
    show_default=True,
    help="The file to write.",
)
@click.option(
    "--title", default="Licences, tokens and projects", show_default=True, help="Title of the page."
)
def command(*, warehouse: str, schema: str, output: Path, title: str) -> None:
    """Write one HTML page of pictures and tables that opens without a network.

    WAREHOUSE is a DuckDB file or a postgresql:// URL in which `dbt build` has built the marts.
    """
    try:
        from tap_autodesk_exports.report_page import page  # noqa: PLC0415
        from tap_autodesk_exports.report_page.warehouse import connect  # noqa: PLC0415
    except ImportError as error:
        msg = (
            f"The report needs the package {error.name!r}, which is not installed: "
            "install tap-autodesk-exports[report]."
        )
        raise click.ClickException(msg) from None
    try:
        with connect(warehouse, schema) as marts:
            text = page.render(marts, title)
    except TapError as error:
        raise click.ClickException(str(error)) from None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"The report {output} cannot be written ({error.strerror}): give another --output."
        raise click.ClickException(msg) from None
    click.echo(f"The report is {output}: open it in a browser.")
