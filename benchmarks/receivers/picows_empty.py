"""picows with a listener in Python that only counts: the cost of the transport."""

from pathlib import Path

from picows import WSFrame, WSListener, WSTransport

from benchmarks.receivers import Receiver


class Counter(WSListener):
    def __init__(self) -> None:
        self.frames = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames += 1


class PicowsEmpty(Receiver):
    title = "picows, empty Python listener"

    def __init__(self, depth: int, folder: Path) -> None:
        self.counter = Counter()

    def listener(self) -> WSListener:
        return self.counter

    def frames(self) -> int:
        return self.counter.frames


IMPLEMENTATION = PicowsEmpty
