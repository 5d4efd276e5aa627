"""picows and `orjson.loads` of each frame, no book: what a Python program pays before it does anything."""

from pathlib import Path

import orjson
from picows import WSFrame, WSListener, WSTransport

from benchmarks.receivers import Receiver


class Decoder(WSListener):
    def __init__(self) -> None:
        self.frames = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        orjson.loads(frame.get_payload_as_memoryview())
        self.frames += 1


class PicowsOrjson(Receiver):
    title = "picows + orjson.loads, decode only"
    libraries = ("picows", "uvloop", "orjson")

    def __init__(self, depth: int, folder: Path) -> None:
        self.decoder = Decoder()

    def listener(self) -> WSListener:
        return self.decoder

    def frames(self) -> int:
        return self.decoder.frames


IMPLEMENTATION = PicowsOrjson
