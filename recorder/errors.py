"""What ends a command, and the exit code that says so."""

import errno
import os
from enum import IntEnum
from pathlib import Path

from engine.errors import PeerError, TapeheadError, UsageError

__all__ = ["ExitCode", "MachineError", "exit_code", "from_os_error"]


class ExitCode(IntEnum):
    """What the exit code of ``tapehead`` means."""

    OK = 0
    CHECK_FAILED = 1  # the command ran, and what it checked is not as it should be
    USAGE = 2  # an option, a file or a name that cannot be
    ENVIRONMENT = 3  # no network, folder in use, port taken, disk full, ...
    INTERNAL = 4  # a fault of tapehead itself


class MachineError(TapeheadError):
    """This machine does not let us: a folder, a port, a disk, a network."""


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code of a command that ended with this error."""
    if isinstance(error, UsageError):
        return ExitCode.USAGE
    if isinstance(error, MachineError | PeerError):
        return ExitCode.ENVIRONMENT
    return ExitCode.INTERNAL


_REMEDIES = {
    errno.ENOSPC: "make room, or choose another folder with --data",
    errno.EDQUOT: "make room within the quota, or choose another folder with --data",
    errno.EACCES: "change its permissions, or choose another with --data",
    errno.EPERM: "change its permissions, or choose another with --data",
    errno.EROFS: "choose a folder on a writable file system with --data",
    errno.ENOENT: "look whether it was removed meanwhile, or choose another folder with --data",
    errno.ENAMETOOLONG: "choose a folder with a shorter name with --data",
    errno.ELOOP: "choose a folder with --data",
    errno.EISDIR: "move that folder away, or choose another with --data",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.EIO: "look at the disk (dmesg), or choose another folder with --data",
    errno.EADDRINUSE: "choose another port, or end the program that holds it",
    errno.ENOTDIR: "choose a folder with --data",
    errno.EEXIST: "choose a folder with --data",
}


def from_os_error(error: OSError, folder: Path | None = None) -> MachineError | None:
    """Return what the operating system refused as one clear message; None if it is not of that kind.

    ``folder`` is where it happened if the error does not say.
    """
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    reason = os.strerror(error.errno or 0)
    where = folder if error.filename is None else os.fsdecode(error.filename)
    return MachineError(reason if where is None else f"{where}: {reason}", remedy)
