"""One process per folder."""

import fcntl
import os
import socket
from pathlib import Path

from recorder.errors import MachineError

__all__ = ["FolderInUseError", "FolderLock"]


class FolderInUseError(MachineError):
    """Another process holds the folder; ``owner`` says which."""

    def __init__(self, folder: Path, owner: str) -> None:
        super().__init__(f"{folder} is in use by {owner}", "stop it, or choose another folder")
        self.folder = folder
        self.owner = owner


class FolderLock:
    """Holds a folder for this process until `release` or the end of the process, however it ends.

    FolderInUseError where another process holds it. The file ``lock`` stays; only the lock on it counts.
    """

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._fd, 1024, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise FolderInUseError(folder, owner or "another process") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Let the folder go. May be repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
