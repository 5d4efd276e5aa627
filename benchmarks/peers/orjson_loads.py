"""`orjson.loads` of each frame and nothing else: the 1x of the comparison."""

import orjson

from benchmarks.peers import Peer


class OrjsonLoads(Peer):
    title = "orjson.loads alone (no book)"
    libraries = ("orjson",)
    keeps_book = False

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def run(self, frames: list[bytes]) -> None:
        loads = orjson.loads
        for frame in frames:
            loads(frame)


IMPLEMENTATION = OrjsonLoads
