"""A capture file as a source: its data frames, byte for byte, in file order, to their subscribers."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from simulator.errors import SimulatorError
from simulator.faults import Change
from simulator.hub import Hub, Stream
from simulator.instruments import Instrument
from simulator.source import IDLE
from simulator.switches import Switches
from simulator.tape import Window
from simulator.topics import Depth, depth_of

BATCH_FRAMES = 256
FILE_BYTES_MAX = 2 << 30
WAIT_NS_MIN = 1_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A data frame of the file. `at_ns` is when it was received, or generated where the file does not say."""

    at_ns: int
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """The data frames of a file in its order; `control_frames` counts what is not replayed."""

    frames: list[Frame]
    control_frames: int


def read_capture(path: Path) -> Capture:
    """Read `<recv_ns> <frame>` or plain JSON lines; raise SimulatorError naming the line that is neither."""
    if not path.is_file():
        raise SimulatorError(f"playback file was {str(path)!r}; there is no such file")
    if path.stat().st_size > FILE_BYTES_MAX:
        raise SimulatorError(f"playback file {path} has more than {FILE_BYTES_MAX} bytes; split it")
    frames, control, latest_ns = [], 0, 0
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        text = line.rstrip(b"\r")
        if not text:
            continue
        stamp, payload = (b"", text) if text.startswith(b"{") else text.partition(b" ")[::2]
        try:
            message = orjson.loads(payload)
            topic = message.get("topic")
            at_ns = int(stamp) if stamp else int(message.get("ts", 0)) * 1_000_000
        except (ValueError, AttributeError) as error:
            raise SimulatorError(
                f"{path} line {number} was neither `<recv_ns> <frame>` nor a JSON object"
            ) from error
        if not isinstance(topic, str):
            control += 1
            continue
        latest_ns = max(latest_ns, at_ns)
        frames.append(Frame(latest_ns, topic, payload))
    if not frames:
        raise SimulatorError(f"{path} holds no data frame; a data frame is a JSON object with a topic")
    return Capture(frames, control)


class Playback:
    """Plays a capture once. `speed` 2.0 is twice as fast as it was received; None is at once."""

    def __init__(
        self, capture: Capture, category: str, hub: Hub, switches: Switches, speed: float | None
    ) -> None:
        self.lossless = speed is None
        self._capture = capture
        self._category = category
        self._hub = hub
        self._speed = speed
        self._first = switches.playback_start == "first"
        self._streams = {one.topic: hub.stream(category, one.topic) for one in capture.frames}
        self._instruments = derive_instruments(capture, category)
        self._position = 0
        self._start_ns: int | None = None
        self._sent = bytearray(len(capture.frames))

    def knows(self, category: str, topic: str) -> bool:
        """Return whether the file has the topic."""
        return category == self._category and topic in self._streams

    def opening(self, category: str, topic: str) -> list[bytes]:
        """Return nothing: the file has its own snapshots."""
        return []

    def play(self, now_ns: int) -> float | None:
        """Publish what is due; a frame whose topic has no subscriber is skipped and counted."""
        self._hub.changed.clear()
        if self._start_ns is None:
            if not self._ready():
                return IDLE
            self._start_ns = now_ns
        for _ in range(BATCH_FRAMES):
            if self._position == len(self._capture.frames):
                return None
            frame = self._capture.frames[self._position]
            wait_ns = self._due_ns(frame, self._start_ns) - now_ns
            if wait_ns > 0:
                return max(wait_ns, WAIT_NS_MIN) / 1e9
            self._publish(frame, self._streams[frame.topic])
        return 0.0

    def _ready(self) -> bool:
        watched = [bool(stream.subscribers) for stream in self._streams.values()]
        return any(watched) if self._first else all(watched)

    def _due_ns(self, frame: Frame, start_ns: int) -> int:
        if self._speed is None:
            return start_ns
        return start_ns + int((frame.at_ns - self._capture.frames[0].at_ns) / self._speed)

    def _publish(self, frame: Frame, stream: Stream) -> None:
        if stream.subscribers:
            self._sent[self._position] = 1
            self._hub.publish(stream, frame.payload)
            if frame.topic.startswith("orderbook."):
                stream.u = orjson.loads(frame.payload)["data"]["u"]
        self._position += 1

    def change(self, change: Change) -> None:
        """A capture cannot be changed: the plan's log says that it was asked for."""

    def counters(self) -> dict[str, int]:
        """Return how far the file was played, and what was left out."""
        return {
            "playback_frames": len(self._capture.frames),
            "playback_position": self._position,
            "playback_skipped": self._position - sum(self._sent),
            "playback_control_frames": self._capture.control_frames,
        }

    def instruments(self, category: str) -> list[Instrument]:
        """Return the instruments found in the file."""
        return self._instruments if category == self._category else []

    def _messages(self, prefix: str, symbol: str) -> list[dict[str, Any]]:
        """Return what was sent so far on the topics of a kind and a symbol."""
        return [
            orjson.loads(frame.payload)
            for frame, sent in zip(self._capture.frames[: self._position], self._sent, strict=False)
            if sent and frame.topic.startswith(prefix) and frame.topic.rpartition(".")[2] == symbol
        ]

    def book(self, category: str, symbol: str, depth: Depth) -> tuple[Window, dict[str, int]] | None:
        """Return the book that the frames sent so far lead to; the deepest where the file lacks the depth."""
        depths = [depth_of(topic.split(".")[1]) for topic in self._streams if _is_book_of(topic, symbol)]
        plain = [one for one in depths if isinstance(one, int)]
        if depth not in depths and not (plain and isinstance(depth, int)):
            return None
        served = depth if depth in depths else max(plain)
        window, numbers = Window({}, {}), {"ts": 0, "u": 0, "seq": 0, "cts": 0}
        for message in self._messages(f"orderbook.{served}.", symbol):
            data = message["data"]
            if message["type"] == "snapshot":
                window = Window({}, {})
            window.apply(data["b"], data["a"])
            numbers = {"ts": message["ts"], "u": data["u"], "seq": data["seq"], "cts": message.get("cts", 0)}
        window.sort()
        return window, numbers

    def trades(self, category: str, symbol: str) -> list[dict[str, Any]]:
        """Return the trades sent so far, newest first."""
        found = [one for message in self._messages("publicTrade.", symbol) for one in message["data"]]
        return [
            {
                "execId": one["i"],
                "symbol": one["s"],
                "price": one["p"],
                "size": one["v"],
                "side": one["S"],
                "time": str(one["T"]),
                "isBlockTrade": one["BT"],
                "isRPITrade": one.get("RPI", False),
                "seq": str(one.get("seq", 0)),
            }
            for one in reversed(found)
        ]

    def ticker(self, category: str, symbol: str) -> dict[str, str]:
        """Return the last value of each field sent so far."""
        fields: dict[str, str] = {"symbol": symbol}
        for message in self._messages("tickers.", symbol):
            fields.update(message["data"])
        return fields

    def candles(self, category: str, symbol: str, interval: str) -> list[dict[str, Any]]:
        """Return the last state of each candle sent so far."""
        latest = {
            candle["start"]: candle
            for message in self._messages(f"kline.{interval}.", symbol)
            for candle in message["data"]
        }
        return [latest[start] for start in sorted(latest)]

    def limits(self, category: str, symbol: str) -> tuple[int, int]:
        """Return no limits: the file has none."""
        return 0, 0

    def statuses(self) -> list[dict[str, Any]]:
        """Return nothing: the file is of one category."""
        return []


def _is_book_of(topic: str, symbol: str) -> bool:
    parts = topic.split(".")
    return len(parts) == 3 and parts[0] == "orderbook" and bool(depth_of(parts[1])) and parts[2] == symbol


def derive_instruments(capture: Capture, category: str) -> list[Instrument]:
    """Return an instrument a symbol of the file: the coarsest grid that all its prices and sizes lie on."""
    prices: dict[str, set[str]] = {}
    sizes: dict[str, set[str]] = {}
    for frame in capture.frames:
        kind, symbol = frame.topic.partition(".")[0], frame.topic.rpartition(".")[2]
        seen_prices, seen_sizes = prices.setdefault(symbol, set()), sizes.setdefault(symbol, set())
        if kind not in ("orderbook", "publicTrade"):
            continue
        data = orjson.loads(frame.payload)["data"]
        rows = [(row[0], row[1]) for row in data["b"] + data["a"]] if kind == "orderbook" else []
        if kind == "publicTrade":
            rows = [(one["p"], one["v"]) for one in data]
        seen_prices.update(price for price, _ in rows)
        seen_sizes.update(size for _, size in rows)
    return [
        Instrument(category, symbol, *_grid(prices[symbol]), *_grid(sizes[symbol]))
        for symbol in sorted(prices)
    ]


def _grid(texts: set[str]) -> tuple[int, int]:
    """Return the decimals of the longest text, and the greatest step that divides them all."""
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    step = 0
    for text in texts:
        whole, _, fraction = text.partition(".")
        step = math.gcd(step, int(whole + fraction.ljust(decimals, "0")))
    return decimals, step or 1
