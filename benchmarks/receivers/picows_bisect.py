"""picows, orjson and the bisect lists: the best that plain Python reaches from wire to book."""

from pathlib import Path

from picows import WSFrame, WSListener, WSTransport

from benchmarks.peers.bisect_lists import BisectLists
from benchmarks.receivers import Receiver
from benchmarks.stream import Levels


class Keeper(WSListener):
    def __init__(self, book: BisectLists) -> None:
        self.book = book
        self.frames = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.book.run([frame.get_payload_as_bytes()])
        self.frames += 1


class PicowsBisect(Receiver):
    title = "picows + orjson + bisect lists"
    libraries = ("picows", "uvloop", "orjson")
    keeps_book = True

    def __init__(self, depth: int, folder: Path) -> None:
        self.book = BisectLists(depth)
        self.keeper = Keeper(self.book)

    def listener(self) -> WSListener:
        return self.keeper

    def frames(self) -> int:
        return self.keeper.frames

    def levels(self, count: int) -> Levels:
        return self.book.levels(count)


IMPLEMENTATION = PicowsBisect
