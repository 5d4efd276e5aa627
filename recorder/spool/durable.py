"""Changes to files that survive a power failure: written beside, synced, put in place, the folder synced."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

__all__ = ["NEW", "put", "remove", "sync_file", "sync_folder", "write_new", "write_synced"]

NEW: Final = ".new"  # ends the name of what is not in place yet


def write_new(path: Path, chunks: Iterable[bytes]) -> Path:
    """Write what is to become ``path`` beside it, to the disk; return where. Leaves nothing on OSError."""
    fresh = path.with_name(path.name + NEW)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        for chunk in chunks:
            _write_all(fd, chunk)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # what is read next comes from the disk
    except OSError:
        fresh.unlink()
        raise
    finally:
        os.close(fd)
    return fresh


def put(path: Path, *chunks: bytes) -> None:
    """Replace a file, whole or not at all. Raises OSError."""
    write_new(path, chunks).replace(path)
    sync_folder(path.parent)


def write_synced(path: Path, data: Any) -> None:
    """Write a buffer to a file that nobody reads yet; its name in the folder is not waited for."""
    write_new(path, [data]).replace(path)


def remove(folder: Path, *paths: Path) -> None:
    """Remove files of a folder; those that are not there are no error."""
    for path in paths:
        path.unlink(missing_ok=True)
    sync_folder(folder)


def sync_file(path: Path) -> None:
    """Have the disk hold what was written to a file, by whomever."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Make created, removed and renamed files of a folder survive a power failure."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
