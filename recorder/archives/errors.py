"""What is wrong with an archive file."""

from pathlib import Path

from engine.errors import UsageError

__all__ = ["ArchiveError"]


class ArchiveError(UsageError):
    """The file ``path`` cannot be imported, and nothing of it was because of this."""

    def __init__(self, path: Path, problem: str, remedy: str = "") -> None:
        super().__init__(f"{path}: {problem}", remedy)
        self.path = path
