"""The size of the house: what a reader has to hold in mind at a time stays small."""

import ast
import importlib
import inspect
import pkgutil

import pytest

import tap_autodesk_exports
from support.processes import ROOT

PACKAGE = ROOT / "tap_autodesk_exports"
MODULES = sorted(PACKAGE.rglob("*.py"))
OUTSIDE_THE_SANDBOX = [path for path in MODULES if PACKAGE / "sandbox" not in path.parents]
LONGEST_MODULE = 400
LONGEST_CLASS = 260
LONGEST_TAP = 200
DEEPEST = 3


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def name_of(path):
    return str(path.relative_to(PACKAGE))


def test_the_package_is_read_at_all():
    assert {"tap.py", "settings/settings.py", "sandbox/server.py"} <= {*map(name_of, MODULES)}


@pytest.mark.parametrize("path", OUTSIDE_THE_SANDBOX, ids=name_of)
def test_no_module_is_too_long_to_read(path):
    assert len(lines_of(path)) <= (LONGEST_TAP if path.name == "tap.py" else LONGEST_MODULE)


@pytest.mark.parametrize("path", OUTSIDE_THE_SANDBOX, ids=name_of)
def test_no_class_is_too_long_to_read(path):
    lengths = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    too_long = {name: length for name, length in lengths.items() if length > LONGEST_CLASS}
    assert too_long == {}


def own_classes():
    """Return every class of the package."""
    found = set()
    for module in pkgutil.walk_packages(tap_autodesk_exports.__path__, "tap_autodesk_exports."):
        if module.name.endswith("__main__"):
            continue
        members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        found.update(kind for _, kind in members if is_ours(kind))
    return found


def is_ours(kind):
    return kind.__module__.partition(".")[0] == "tap_autodesk_exports"


def depth(kind):
    """Return how many classes of our own are above one another, this one included."""
    return 1 + max((depth(base) for base in kind.__bases__ if is_ours(base)), default=0)


def test_inheritance_is_at_most_three_deep():
    too_deep = {
        f"{kind.__module__}.{kind.__qualname__}": depth(kind)
        for kind in own_classes()
        if depth(kind) > DEEPEST
    }
    assert too_deep == {}
