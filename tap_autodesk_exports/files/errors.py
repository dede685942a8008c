"""What goes wrong with a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from pathlib import Path


class FileError(TapError):
    """A file cannot be used: reported with its base name and, where known, its line.

    The text holds neither the folder of the file nor any of its cells.
    """

    def __init__(self, path: Path, problem: str, *, line: int | None = None) -> None:
        """Compose the sentence.

        Args:
            path: The file; only its base name is shown.
            problem: What is wrong, as the rest of a sentence that begins with the file's name.
            line: Physical line in the file, counted from 1.
        """
        where = f"Line {line} of the file" if line else "The file"
        super().__init__(f"{where} '{path.name}' {problem}")
        self.file = path.name
        self.problem = problem
        self.line = line
