"""The files of a backup: pinned by hard links, brought to another file system, listed with their hashes."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["MANIFEST_FILE", "Stage", "bring", "can_link", "read_manifest", "write_manifest"]

MANIFEST_FILE: Final = "MANIFEST.sha256"
CHUNK_BYTES: Final = 1 << 20
NO_LINK: Final = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


class Stage:
    """A folder that takes files of ``source`` under the names that they have there.

    What never changes under its name is linked (copied where that cannot be), so that it stays when the
    source removes it; the rest is copied. What is taken twice is there as it was last. OSError; in
    particular FileNotFoundError where the source removed a file meanwhile.
    """

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        self._source = source

    def link(self, path: Path) -> None:
        """Take a file that is never written again."""
        target = self._fresh(path)
        try:
            os.link(path, target)
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
            shutil.copy2(path, target)

    def copy(self, path: Path) -> None:
        """Take a file as it is now."""
        shutil.copy2(path, self._fresh(path))

    def symlink(self, path: Path) -> None:
        """Take a symbolic link, with its text."""
        self._fresh(path).symlink_to(path.readlink())

    def put(self, path: Path, data: bytes) -> None:
        """Take these bytes in place of what is in a file."""
        self._fresh(path).write_bytes(data)

    def drop(self, path: Path) -> None:
        """Let go of a folder that was taken."""
        shutil.rmtree(self.of(path), ignore_errors=True)

    def of(self, path: Path) -> Path:
        """Return where a file of the source is to be."""
        return self.folder / path.relative_to(self._source)

    def _fresh(self, path: Path) -> Path:
        target = self.of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        return target


def can_link(path: Path, folder: Path) -> bool:
    """Whether a file can have another name in a folder."""
    probe = folder / f".{path.name}.probe"
    try:
        os.link(path, probe)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        return False
    probe.unlink()
    return True


def bring(stage: Path, folder: Path, former: Path | None) -> None:
    """Copy a stage to a folder of another file system; what ``former``, beside it, has too is linked."""
    for path in _files(stage):
        name = path.relative_to(stage)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif former is not None and _is_alike(path, former / name):
            os.link(former / name, target)
        else:
            shutil.copy2(path, target)


def missing_bytes(stage: Path, former: Path | None) -> int:
    """Return how many bytes `bring` would copy."""
    return sum(
        path.stat().st_size
        for path in _files(stage)
        if not path.is_symlink()
        and not (former is not None and _is_alike(path, former / path.relative_to(stage)))
    )


def write_manifest(folder: Path, former: Path | None) -> tuple[int, int, int]:
    """Hash and sync what is new in a folder, and list all of it; return files, bytes, and bytes of new ones.

    The list is one for ``sha256sum --check``. What is the same file in ``former`` has its hash from there.
    """
    known = read_manifest(former) if former is not None else {}
    lines, total, new = [], 0, 0
    for path in _files(folder):
        if path.is_symlink():
            continue
        name = str(path.relative_to(folder))
        size = path.stat().st_size
        digest = known.get(name, "")
        if former is None or not digest or not _is_same(path, former / name):
            digest = _hash_synced(path)
            new += size
        lines.append(f"{digest}  {name}\n")
        total += size
    manifest = folder / MANIFEST_FILE
    manifest.write_text("".join(lines), encoding="utf-8")
    _hash_synced(manifest)
    return len(lines), total, new


def read_manifest(folder: Path) -> dict[str, str]:
    """Return the hashes of a backup by name; empty where it has no list."""
    try:
        text = (folder / MANIFEST_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}


def _files(folder: Path) -> Iterator[Path]:
    """The files and symbolic links below a folder, in their order."""
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names + [one for one in folders if Path(base, one).is_symlink()]):
            yield Path(base, name)


def _is_alike(path: Path, other: Path) -> bool:
    try:
        mine, yours = path.stat(), other.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (mine.st_size, mine.st_mtime_ns) == (yours.st_size, yours.st_mtime_ns)


def _is_same(path: Path, other: Path) -> bool:
    return other.is_file() and path.samefile(other)


def _hash_synced(path: Path) -> str:
    """Return the SHA-256 of a file; it is on the disk then, and leaves the page cache to others."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return digest.hexdigest()
