"""Waiting for what another process says."""

import select
from typing import Protocol

__all__ = ["is_readable"]


class HasDescriptor(Protocol):
    """A file or a socket."""

    def fileno(self) -> int: ...


def is_readable(source: HasDescriptor | int, timeout_s: float) -> bool:
    """Whether something can be read, or the end, within so many seconds; for any number of open files."""
    poller = select.poll()
    poller.register(source, select.POLLIN | select.POLLHUP)
    return bool(poller.poll(timeout_s * 1000))
