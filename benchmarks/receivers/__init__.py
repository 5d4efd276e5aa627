"""What stands at the client's end of the wire: one module each, imported in the process that measures it."""

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Final, cast

from picows import WSListener

from benchmarks.stream import Levels


class Receiver(ABC):
    """Takes the frames of one connection. Without a book it is checked by its count of frames only."""

    title: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ("picows", "uvloop")
    keeps_book: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, depth: int, folder: Path) -> None:
        """`folder` is empty and the receiver's own."""

    @abstractmethod
    def listener(self) -> WSListener:
        """Return the picows listener of the connection."""

    @abstractmethod
    def frames(self) -> int:
        """Return how many frames arrived."""

    def levels(self, count: int) -> Levels:
        """Return the first `count` levels a side of the final book."""
        raise NotImplementedError(f"{self.title} keeps no book")

    def close(self) -> None:
        """Let files go; called once, after the last frame."""
        return


NAMES: Final = (
    "picows_empty",
    "picows_orjson",
    "picows_bisect",
    "cython_empty",
    "tapehead",
    "tapehead_journal",
)


def find(name: str) -> type[Receiver]:
    """Import the receiver of that name (one of NAMES)."""
    return cast("type[Receiver]", import_module(f"benchmarks.receivers.{name}").IMPLEMENTATION)
