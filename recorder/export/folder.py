"""The folder of an export: files that are there whole or not at all, and the manifest that lists them.

A file is written in ``.partial/``, synced, renamed to its name, and then a line of ``.partial/files.jsonl``.
A second run takes those lines, or the manifest of a run that ended, for what need not be written again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from engine.errors import UsageError
from recorder.spool.lock import FolderLock

__all__ = ["MANIFEST", "ExportFolder", "Written", "export_folder"]

MANIFEST: Final = "MANIFEST.json"
MANIFEST_FORMAT: Final = 1
PARTIAL: Final = ".partial"
PROGRESS: Final = "files.jsonl"


@dataclass(slots=True)
class Written:
    """What was written: the file's name within the folder, its rows, and what there is to say of it."""

    path: str
    rows: int
    details: dict[str, Any] = field(default_factory=dict)


class ExportFolder:
    """An export's folder, held for this process. `export_folder` opens one."""

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.written = 0
        self.kept = 0
        self._partial = path / PARTIAL
        self._identity = identity
        self._before = _entries_before(path, identity)
        self._entries: dict[str, dict[str, Any]] = {}
        self._progress = _without_torn_line(self._partial / PROGRESS)
        if not self._progress.tell():
            self._log({"format": MANIFEST_FORMAT, "export": identity})

    def put(self, key: str, state: list[Any], write: Callable[[Path], Written]) -> None:
        """Write one file, unless an earlier run wrote the same.

        Args:
            key: names it within the export, whatever its file is called.
            state: what its content follows from; JSON.
            write: writes it to the path given.
        """
        before = self._before.get(key)
        if before is not None and before["state"] == state and self._is_there(before):
            self._entries[key] = before
            self.kept += 1
            return
        draft = self._partial / "draft"
        result = write(draft)
        with draft.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        final = self.path / result.path
        final.parent.mkdir(parents=True, exist_ok=True)
        if before is not None and before["path"] != result.path:
            (self.path / before["path"]).unlink(missing_ok=True)
        size = draft.stat().st_size
        draft.replace(final)
        _sync_folder(final.parent)
        self._entries[key] = {
            "key": key,
            "path": result.path,
            "rows": result.rows,
            "bytes": size,
            "sha256": digest,
            **result.details,
            "state": state,
        }
        self._log(self._entries[key])
        self.written += 1

    def entries(self) -> list[dict[str, Any]]:
        """Return the files of this run, in its order."""
        return list(self._entries.values())

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the manifest: the export is complete. Files of an earlier run that are no part of it go."""
        for key, entry in self._before.items():
            if key not in self._entries:
                (self.path / entry["path"]).unlink(missing_ok=True)
        manifest = {"format": MANIFEST_FORMAT, "export": self._identity, **summary, "files": self.entries()}
        draft = self._partial / "draft"
        with draft.open("w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / MANIFEST)
        _sync_folder(self.path)
        self.close()
        shutil.rmtree(self._partial)

    def close(self) -> None:
        """Close what is open; what is complete stays."""
        self._progress.close()

    def _is_there(self, entry: dict[str, Any]) -> bool:
        try:
            size: int = (self.path / entry["path"]).stat().st_size
        except FileNotFoundError:
            return False
        return size == int(entry["bytes"])

    def _log(self, entry: dict[str, Any]) -> None:
        self._progress.write(json.dumps(entry) + "\n")
        self._progress.flush()
        os.fsync(self._progress.fileno())


@contextmanager
def export_folder(path: Path, identity: dict[str, Any]) -> Iterator[ExportFolder]:
    """Open a folder to export to; a new or empty one, or one of the same export.

    Raises:
        UsageError: something else is in it.
        FolderInUseError: another process exports to it.
    """
    _check(path)
    _entries_before(path, identity)  # before anything is made
    (path / PARTIAL).mkdir(parents=True, exist_ok=True)
    lock = FolderLock(path / PARTIAL)
    try:
        folder = ExportFolder(path, identity)
        try:
            yield folder
        finally:
            folder.close()
    finally:
        lock.release()


def _check(path: Path) -> None:
    is_ours = (path / MANIFEST).exists() or (path / PARTIAL).is_dir()
    if path.is_dir() and any(path.iterdir()) and not is_ours:
        raise UsageError(f"{path} holds other files", "give a new or empty folder with --out")


def _entries_before(path: Path, identity: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what earlier runs wrote, by key. Raises UsageError where they were of another export."""
    found: dict[str, dict[str, Any]] = {}
    for before in (_manifest(path / MANIFEST), _lines(path / PARTIAL / PROGRESS)):
        if not before:
            continue
        other = before[0].get("export")
        if not isinstance(other, dict) or before[0].get("format") != MANIFEST_FORMAT:
            raise UsageError(f"{path} holds a manifest of something else", "give a new folder with --out")
        for name, value in identity.items():
            if other.get(name) != value:
                problem = (
                    f"{path} holds an export with {name} {other.get(name)!r}, and {value!r} was asked for"
                )
                raise UsageError(problem, "ask for the same, or give a new folder with --out")
        found |= {entry["key"]: entry for entry in before[1:]}
    return found


def _manifest(path: Path) -> list[dict[str, Any]]:
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValueError:
        raise UsageError(f"{path} is no JSON", "give a new folder with --out") from None
    if not isinstance(manifest, dict):
        raise UsageError(f"{path} is no manifest", "give a new folder with --out")
    return [manifest, *manifest.get("files", [])]


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the progress; a last one that was cut short is left out."""
    if not path.exists():
        return []
    whole = path.read_bytes()
    return [json.loads(line) for line in whole[: whole.rfind(b"\n") + 1].splitlines()]


def _without_torn_line(path: Path) -> TextIO:
    """Open a file of lines to append to, without a last one that was cut short."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    return path.open("a", encoding="utf-8")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
