"""A model of what a power failure leaves of a folder: files as they were synced, names as their folder was.

What was written and not synced is there, or not, page by page; names that were changed since the folder was
synced have changed in the order of the calls, up to some point.
"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

PAGE_BYTES = 4096

Names = dict[str, int]


class Disk:
    """Watches the calls that change one folder; `on_call` is called after each of them, by name."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.calls = 0
        self.on_call: Callable[[str], None] | None = None
        self._lock = threading.RLock()
        self._synced: dict[int, bytes] = {}
        self._pending: list[tuple[str, ...]] = []
        self._names: Names = {}
        self._files: dict[str, bytes] = {}
        self._note_folder()
        self._synced = {ino: (folder / name).read_bytes() for name, ino in self._names.items()}
        self._patch = monkeypatch
        for name in ("fsync", "fdatasync", "write", "open", "replace", "rename", "unlink", "link"):
            self._wrap(name)

    def _wrap(self, name: str) -> None:
        real = getattr(os, name)

        def call(*given: Any, **named: Any) -> Any:
            with self._lock:
                before = self._listing()
                if name in ("fsync", "fdatasync"):
                    self._note_sync(given[0])
                answer = real(*given, **named)
                after = self._listing()
                if before != after:
                    self._note_change(before, after)
                elif name in ("open", "replace", "rename", "unlink", "link"):
                    return answer
            self.calls += 1
            if self.on_call is not None:
                self.on_call(name)
            return answer

        self._patch.setattr(os, name, call)

    def _listing(self) -> Names:
        with os.scandir(self.folder) as entries:
            return {entry.name: entry.inode() for entry in entries}

    def _note_folder(self) -> None:
        self._names = self._listing()
        self._pending = []

    def _note_sync(self, fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}")
        if path.resolve() == self.folder:
            self._note_folder()
        else:
            self._synced[path.stat().st_ino] = path.read_bytes()

    def _note_change(self, before: Names, after: Names) -> None:
        for name in before.keys() - after.keys():
            self._pending.append(("remove", name))
        for name in after:
            if before.get(name) != after[name]:
                if after[name] not in before.values():
                    self._synced[after[name]] = b""  # a new file: nothing of it is on the disk
                self._pending.append(("put", name, str(after[name])))

    def contents(self) -> dict[str, bytes]:
        """Return the files as they are now: what the end of a process leaves."""
        with self._lock:
            return {name: (self.folder / name).read_bytes() for name in self._listing()}

    def synced(self) -> dict[str, bytes]:
        """Return the files whose names and contents are certain to survive."""
        with self._lock:
            return {name: self._synced[ino] for name, ino in self._names.items()}

    def failures(self, random: Random) -> Iterator[dict[str, bytes]]:
        """Yield what a power failure at this moment may leave, the extremes first."""
        with self._lock:
            pending, names, now = list(self._pending), dict(self._names), self._now()
            synced = dict(self._synced)
        for count in dict.fromkeys((0, len(pending), random.randint(0, len(pending)))):
            left = dict(names)
            for what, name, *ino in pending[:count]:
                if what == "remove":
                    left.pop(name, None)
                else:
                    left[name] = int(ino[0])
            files = {name: (synced.get(ino, b""), now.get(ino)) for name, ino in left.items()}
            yield {name: old for name, (old, _) in files.items()}
            yield {name: mixed(old, new, random) for name, (old, new) in files.items()}

    def _now(self) -> dict[int, bytes]:
        return {ino: (self.folder / name).read_bytes() for name, ino in self._listing().items()}


def mixed(old: bytes, new: bytes | None, random: Random) -> bytes:
    """Return a file of which some pages were written and others not; ``new`` None: it was removed."""
    if new is None:
        return old
    size = max(len(old), len(new)) if random.random() < 0.8 else len(old)
    old, new = old.ljust(size, b"\0"), new.ljust(size, b"\0")
    pages = range(0, size, PAGE_BYTES)
    return b"".join(random.choice((old, new))[at : at + PAGE_BYTES] for at in pages)


def put_down(contents: dict[str, bytes], folder: Path) -> Path:
    """Write what was left into a folder of its own."""
    folder.mkdir()
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder
