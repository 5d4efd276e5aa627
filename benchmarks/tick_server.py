"""The venue of `tick_to_order`: sends a book frame, spins until the order it led to is there, takes the time.

Each trader has two connections, `/NAME/v5/public/linear` and `/NAME/v5/trade`. Until a line comes on stdin,
logins and subscriptions are answered; then the traders take turns in a drawn order, frame by frame. Times and
orders go into the folder: `python -m benchmarks.tick_server FOLDER CORE GAP_US NAME...`.
"""

import json
import random
import selectors
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import stream
from benchmarks.harness import pin
from benchmarks.sender import CLIENT_WAIT_S, read_request, render, upgrade_response

RESULT_FILE: Final = "orders.json"
RECEIVE_BYTES: Final = 64 * 1024
ORDER_WAIT_NS: Final = 5_000_000_000
TEXT: Final = 1
SEED: Final = 7


class Client:
    """One connection, after its handshake."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = read_request(connection)
        connection.sendall(upgrade_response(request))
        self.connection = connection
        _, self.trader, path = request.split()[1].split(b"/", 2)
        self.is_feed = b"public" in path
        self._buffer = bytearray()

    def take(self, data: bytes) -> list[bytes]:
        """Return the text messages that are complete with this data; other frames are dropped."""
        self._buffer += data
        taken = []
        while (frame := self._frame()) is not None:
            if frame[0] == TEXT:
                taken.append(frame[1])
        return taken

    def _frame(self) -> tuple[int, bytes] | None:
        data = self._buffer
        if len(data) < 6:
            return None
        size, start = data[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        mask, start = bytes(data[start : start + 4]), start + 4
        if len(data) < start + size:
            return None
        masked = int.from_bytes(data[start : start + size], "big")
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        opcode = data[0] & 0x0F
        del data[: start + size]
        return opcode, (masked ^ key).to_bytes(size, "big")


def answer(client: Client, message: dict[str, Any]) -> None:
    if client.is_feed:
        reply = {"success": True, "ret_msg": "", "conn_id": "c", "op": message["op"]}
        if "req_id" in message:
            reply["req_id"] = message["req_id"]
    else:
        reply = {"retCode": 0, "retMsg": "OK", "op": message["op"], "connId": "c"}
    client.connection.sendall(render(json.dumps(reply).encode()))


def gather(server: socket.socket) -> list[Client]:
    """Take connections and answer them until a line comes on stdin."""
    clients: list[Client] = []
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while events := selector.select(CLIENT_WAIT_S):
            for key, _ in events:
                if key.fileobj is sys.stdin:
                    return clients
                if key.fileobj is server:
                    client = Client(server.accept()[0])
                    clients.append(client)
                    selector.register(client.connection, selectors.EVENT_READ, client)
                else:
                    for message in key.data.take(key.data.connection.recv(RECEIVE_BYTES)):
                        answer(key.data, json.loads(message))
    raise TimeoutError(f"no client did anything within {CLIENT_WAIT_S} s")


def await_order(orders: Client) -> tuple[int, bytes]:
    """Return when an order came, and the order. Spins: a wake-up would cost more than what is measured."""
    deadline_ns = time.perf_counter_ns() + ORDER_WAIT_NS
    while True:
        try:
            data = orders.connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            if time.perf_counter_ns() > deadline_ns:
                raise TimeoutError(f"{orders.trader!r} sent no order within 5 s") from None
            continue
        received_ns = time.perf_counter_ns()
        for message in orders.take(data):
            if b"order.create" in message:
                return received_ns, message


def play(frames: list[bytes], clients: list[Client], names: list[str], gap_s: float) -> dict[str, Any]:
    feeds = {one.trader.decode(): one for one in clients if one.is_feed}
    orders = {one.trader.decode(): one for one in clients if not one.is_feed}
    for client in clients:
        client.connection.setblocking(False)
    rng = random.Random(SEED)
    took_ns: dict[str, list[int]] = {name: [] for name in names}
    received: dict[str, list[str]] = {name: [] for name in names}
    for wire in map(render, frames):
        for name in rng.sample(names, len(names)):
            time.sleep(gap_s)
            sent_ns = time.perf_counter_ns()
            feeds[name].connection.sendall(wire)
            received_ns, order = await_order(orders[name])
            took_ns[name].append(received_ns - sent_ns)
            received[name].append(order.decode())
    return {"took_ns": took_ns, "orders": received}


def main() -> None:
    folder, core, gap_us, *names = sys.argv[1:]
    pin(int(core))
    frames = stream.load_frames(Path(folder))
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        clients = gather(server)
    result = play(frames, clients, names, int(gap_us) / 1e6)
    (Path(folder) / RESULT_FILE).write_text(json.dumps(result))
    print("done", flush=True)
    sys.stdin.read()  # to its end: the traders go first: pybit would connect again


if __name__ == "__main__":
    main()
