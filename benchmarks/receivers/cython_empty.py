"""picows with a listener in Cython that only counts: the floor of any receiver over picows."""

from pathlib import Path

from picows import WSListener

from benchmarks.native.transport import Counter
from benchmarks.receivers import Receiver


class CythonEmpty(Receiver):
    title = "picows, empty Cython listener"

    def __init__(self, depth: int, folder: Path) -> None:
        self.counter = Counter()

    def listener(self) -> WSListener:
        return self.counter

    def frames(self) -> int:
        return self.counter.frames


IMPLEMENTATION = CythonEmpty
