"""The tap with shorter pauses: `paced_tap.py PACE ARGUMENTS…`, where pace 1 is their real length."""

from __future__ import annotations

import sys

from support import tap_server

if __name__ == "__main__":
    tap_server.run(
        {
            "arguments": sys.argv[2:],
            "environment": {},
            "pace": float(sys.argv[1]),
            "timeout": None,
            "grace": None,
        }
    )
