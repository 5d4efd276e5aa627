"""The embedded database, pinned file by file while its engine goes on.

A part is a folder that is never written again once it has its name, and is renamed before it is removed: what
is listed and still there after it was linked is whole. A table is pinned when two listings in a row are the
same and all of it is linked; a merge in between changes the second one. The commit marks are pinned first:
all that they speak of was inserted before them, and what the loader inserts after them it deletes and makes
anew, as after a crash. So the tokens of inserts must not be taken along: rows that are not there would pass
for repeated ones.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from recorder.backup.files import Stage
from recorder.errors import MachineError

__all__ = ["exists", "pin"]

FIRST: Final = "load_batch"
PASSES_MAX: Final = 200
_PART: Final = re.compile(r"[0-9A-Za-z]+_\d+_\d+_\d+(?:_\d+)?")


def exists(database: Path) -> bool:
    """Whether an embedded database was made in a folder."""
    return (database / "data" / "metadata").is_dir()


def pin(database: Path, stage: Stage) -> None:
    """Take an embedded database as of now. Raises MachineError where it changes too fast, OSError."""
    data = database / "data"
    tables = sorted((data / "data").glob("*/*"), key=lambda path: (path.name != FIRST, path))
    for table in tables:
        stage.symlink(table)
        _pin_table(_target(table), stage)
    for path in sorted((data / "metadata").iterdir()):
        if not path.is_symlink():
            stage.copy(path)
            continue
        stage.symlink(path)
        for definition in sorted(_target(path).glob("*.sql")):
            stage.copy(definition)
    stage.copy(database / "engine")


def _target(link: Path) -> Path:
    return Path(os.path.normpath(link.parent / link.readlink()))


def _pin_table(folder: Path, stage: Stage) -> None:
    pinned: set[str] = set()
    before: set[str] | None = None
    for _ in range(PASSES_MAX):
        names = {name for name in os.listdir(folder) if _PART.fullmatch(name)}  # noqa: PTH208 (names alone)
        for name in pinned - names:
            stage.drop(folder / name)
        pinned &= names
        pinned |= {name for name in names - pinned if _pin_part(folder / name, stage)}
        if names == before == pinned:
            break
        before = names
    else:
        raise MachineError(f"parts of {folder} come and go faster than they are linked", "try again later")
    for path in sorted(folder.glob("*.txt")):  # its version, and mutations under way
        with suppress(FileNotFoundError):
            stage.copy(path)


def _pin_part(part: Path, stage: Stage) -> bool:
    """Take a part; False where it was removed meanwhile."""
    with suppress(FileNotFoundError):
        for path in sorted(part.iterdir()):
            stage.link(path)
    if part.is_dir():
        return True
    stage.drop(part)
    return False
