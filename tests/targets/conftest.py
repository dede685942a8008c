"""The modules of `make targets` are beside its program; nothing here runs a target."""

from __future__ import annotations

import sys

from support.processes import ROOT

sys.path.append(str(ROOT / "targets"))
