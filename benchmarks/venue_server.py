"""A venue on loopback that sends what `benchmarks.venue` drew, at a steady rate, to whoever subscribed.

Frames are rendered before the first client comes. It prints its port, answers subscriptions (acknowledgement,
then the first frame of each topic), waits for a line on stdin, sends, and prints one JSON object:
`python -m benchmarks.venue_server FOLDER CORE RATE`.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import uvloop
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from benchmarks.harness import pin

FIRST_FILE: Final = "first.txt"
FRAMES_FILE: Final = "frames.txt"
TICK_S: Final = 0.001
TOPIC_SEPARATOR: Final = b" "


class Client(WSListener):
    """One connection: answers what it is asked."""

    def __init__(self, first: dict[bytes, bytes], subscribers: dict[bytes, WSTransport]) -> None:
        self.first = first
        self.subscribers = subscribers

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self.answer(transport, json.loads(frame.get_payload_as_bytes()))

    def answer(self, transport: WSTransport, request: dict[str, Any]) -> None:
        reply = {"success": True, "ret_msg": "", "conn_id": "c", "op": request["op"]}
        if "req_id" in request:
            reply["req_id"] = request["req_id"]
        if request["op"] == "ping":
            reply["ret_msg"] = "pong"
        transport.send(WSMsgType.TEXT, json.dumps(reply))
        if request["op"] == "subscribe":
            for topic in map(str.encode, request["args"]):
                self.subscribers[topic] = transport
                if topic in self.first:
                    transport.send(WSMsgType.TEXT, self.first[topic])


def load(path: Path) -> list[tuple[bytes, bytes]]:
    pairs = (line.partition(TOPIC_SEPARATOR) for line in path.read_bytes().split(b"\n"))
    return [(topic, frame) for topic, _, frame in pairs]


async def send(frames: list[tuple[bytes, bytes]], subscribers: dict[bytes, WSTransport], rate: int) -> int:
    """Send each frame when its moment has come, those of topics without a subscriber not; return how many."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    done = sent = 0
    while done < len(frames):
        due = min(len(frames), int((loop.time() - start) * rate))
        for topic, frame in frames[done:due]:
            if (transport := subscribers.get(topic)) is not None:
                transport.send(WSMsgType.TEXT, frame)
                sent += 1
        done = due
        await asyncio.sleep(TICK_S)
    return sent


async def serve(folder: Path, rate: int) -> None:
    first, frames = dict(load(folder / FIRST_FILE)), load(folder / FRAMES_FILE)
    subscribers: dict[bytes, WSTransport] = {}

    def accept(_: WSUpgradeRequest) -> WSListener:
        return Client(first, subscribers)

    server = await ws_create_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    start = time.perf_counter()
    sent = await send(frames, subscribers, rate)
    print(json.dumps({"sent": sent, "seconds": time.perf_counter() - start}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    server.close()


def main() -> None:
    folder, core, rate = sys.argv[1:]
    pin(int(core))
    uvloop.run(serve(Path(folder), int(rate)))


if __name__ == "__main__":
    main()
