"""One process per folder."""

import asyncio
import fcntl
import os
import socket
from pathlib import Path
from typing import Final, Self

from engine.clock import NS_PER_S, mono_ns
from recorder.errors import MachineError

__all__ = ["FolderInUseError", "FolderLock"]

WAIT_POLL_S: Final = 0.05  # the kernel tells nobody of a lock that was let go


class FolderInUseError(MachineError):
    """Another process holds the folder; ``owner`` says which."""

    def __init__(self, folder: Path, owner: str) -> None:
        super().__init__(f"{folder} is in use by {owner}", "stop it, or choose another folder")
        self.folder = folder
        self.owner = owner


class FolderLock:
    """Holds a folder for this process until `release` or the end of the process, however it ends.

    FolderInUseError where another process holds it. The file ``name`` stays; only the lock on it counts.
    """

    def __init__(self, folder: Path, name: str = "lock") -> None:
        self._fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._fd, 1024, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise FolderInUseError(folder, owner or "another process") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    @classmethod
    async def wait(cls, folder: Path, timeout_s: float) -> Self:
        """Hold a folder as soon as its owner lets it go. Raises FolderInUseError when that takes too long."""
        due_ns = mono_ns() + round(timeout_s * NS_PER_S)
        while True:
            try:
                return cls(folder)
            except FolderInUseError:
                if mono_ns() > due_ns:
                    raise
            await asyncio.sleep(WAIT_POLL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let the folder go. May be repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
