"""What mkdocs calls: pages that are made from the program, and parts of pages that are.

A page can hold `<!-- README: Quick start -->`, a section of README.md, or one of `PARTS`.
"""

from __future__ import annotations

import importlib
import pkgutil
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from dictionary import dictionary, navigation
from mkdocs.structure.files import File, Files

import tap_autodesk_exports
from tap_autodesk_exports.apis import EXCLUDED, SCOPES, TITLES
from tap_autodesk_exports.cli import COMMANDS, main
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.plugin.definition import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OF_THE_PROJECT = {
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Page -> the file of the project that it is."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the addresses and the dictionary's navigation."""
    config.repo_url = REPOSITORY
    config.repo_name = REPOSITORY.removeprefix("https://github.com/")
    for entry in config.nav or []:
        if "Data dictionary" in entry:
            entry["Data dictionary"] += navigation()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are in no file of docs/."""
    pages = {
        name: (ROOT / file).read_text(encoding="utf-8") for name, file in OF_THE_PROJECT.items()
    }
    pages |= dictionary() | {"commands.md": "\n".join(_commands())}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in the parts, and let links lead to pages, or else to the repository."""
    del config
    if page.file.src_uri.startswith("dictionary/"):
        return markdown
    home = OF_THE_PROJECT.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    text = re.sub(r"<!-- README: (.+?) -->", lambda m: _section(m[1], home), markdown)
    text = re.sub(r"<!-- (\w+ \w+) -->", lambda m: PARTS[m[1]]() if m[1] in PARTS else m[0], text)
    return re.sub(
        r"(\]\()([^)#:\s]+)(#[^)]*)?\)",
        lambda m: f"{m[1]}{_address(m[2], home, page, files)}{m[3] or ''})",
        text,
    )


def _address(target: str, home: str, page: Page, files: Files) -> str:
    """Return where a link leads in the site.

    Args:
        target: The link, relative to the file that it is in.
        home: The path of that file in the project.
        page: The page that it becomes.
        files: All of the site.
    """
    path = posixpath.normpath(posixpath.join(posixpath.dirname(home), target))
    pages = {file: name for name, file in OF_THE_PROJECT.items()} | {"README.md": "index.md"}
    name = pages.get(path, path.removeprefix("docs/"))
    if name in files.src_uris:
        return posixpath.relpath(name, posixpath.dirname(page.file.src_uri))
    if (ROOT / path).exists():
        return f"{REPOSITORY}/blob/main/{path}"
    return target  # mkdocs says that it leads nowhere


def _section(heading: str, home: str) -> str:
    """Return what README.md has below a heading, with links as from `home`."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.lstrip("#") == f" {heading}")
    level = len(lines[start]) - len(lines[start].lstrip("#"))
    found = []
    is_code = False
    for line in lines[start + 1 :]:
        is_code ^= line.startswith("```")
        if not is_code and re.match(rf"#{{1,{max(level, 3)}}} ", line):
            break
        found.append(line)
    folder = posixpath.dirname(home)
    return re.sub(
        r"\]\(([^)#:\s]+)\)",
        lambda m: f"]({posixpath.relpath(m[1], folder)})",
        "\n".join(found).strip(),
    )


def _commands() -> Iterator[str]:
    """Yield the page of commands: what `--help` says of each."""
    yield "# Commands\n\nWhat `--help` says, for each command.\n"
    with click.Context(main, info_name="autodesk-exports") as above:
        for name in sorted(COMMANDS):
            command = main.get_command(above, name)
            assert command  # noqa: S101
            yield f"## autodesk-exports {name}\n"
            yield f"```text\n{_help(command, above, name)}\n```\n"
    from tap_autodesk_exports.tap import TapAutodeskExports  # noqa: PLC0415

    cli: click.Command = TapAutodeskExports.cli
    yield "## tap-autodesk-exports\n"
    yield f"```text\n{_help(cli, None, 'tap-autodesk-exports')}\n```\n"


def _help(command: click.Command, above: click.Context | None, name: str) -> str:
    with click.Context(command, parent=above, info_name=name, terminal_width=88) as context:
        return command.get_help(context).strip()


def _scopes() -> str:
    """Return the table of scopes that each API needs."""
    rows = [f"| {TITLES[api]} | {', '.join(f'`{s}`' for s in SCOPES[api])} |" for api in SCOPES]
    return "\n".join(["| API | Scopes |", "|---|---|", *rows])


def _excluded() -> str:
    """Return what the documentation of an API excludes."""
    return "\n".join(f"- {exclusion.reason}" for exclusion in EXCLUDED.values())


def error_kinds() -> dict[str, str]:
    """Return every kind of failure that a user meets: name -> what it is."""
    for module in pkgutil.walk_packages(tap_autodesk_exports.__path__, "tap_autodesk_exports."):
        if not module.name.startswith(
            ("tap_autodesk_exports.sandbox", "tap_autodesk_exports.report_page")
        ):
            importlib.import_module(module.name)

    def below(kind: type[TapError]) -> Iterator[type[TapError]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    ours = {each for each in below(TapError) if each.__module__.startswith("tap_autodesk_exports.")}
    return {
        each.__name__: (each.__doc__ or "").strip().partition("\n")[0]
        for each in sorted(ours, key=lambda each: each.__name__)
    }


def _error_kinds() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in error_kinds().items()]
    return "\n".join(["| Kind | What it is |", "|---|---|", *rows])


PARTS: dict[str, Any] = {
    "api scopes": _scopes,
    "excluded flows": _excluded,
    "error kinds": _error_kinds,
}
"""Name of a part -> what makes it."""
