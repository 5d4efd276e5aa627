"""One fault of a script: what it concerns, and when it happens."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from simulator.faults.actions import Peer

NEVER_NS = 1 << 62
COMMON: dict[str, Any] = {
    "topic": "*.*",
    "category": "",
    "connection": 0,
    "gateway": "*",
    "path": "*",
    "symbol": "",
    "only": "",
    "frame": 0,
    "every": 0,
    "chance": 0.0,
    "at_ms": 0,
    "age_ms": 0,
    "every_ms": 0,
    "for_ms": 0,
    "times": 1,
}
"""Keys that every entry of a script may have, and their values where it has none. Times 0 is endless."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault by name. `apply` makes it happen and returns None where it cannot (then it is not spent).

    `watches`: apply is called for everything that matches, and `fault.firing` tells whether it is to happen.
    `values` holds the parameters of its own and their defaults, `defaults` those of common keys.
    """

    scope: str
    does: str
    apply: Callable[["Fault", Any], Any]
    values: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    watches: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame on its way out. Replies to requests have the request's op as their topic."""

    peer: Peer
    topic: str
    payload: bytes
    now_ns: int

    @property
    def key(self) -> tuple[int, str]:
        """What the frames of a topic on a connection are counted and remembered under."""
        return self.peer.number, self.topic


class Fault:
    """An armed fault. `held` is its memory by key, `fired` how often it happened."""

    def __init__(self, name: str, kind: Kind, entry: dict[str, Any], random: Random, armed_ns: int) -> None:
        self.name = name
        self.kind = kind
        self.entry = entry
        self.random = random
        self.armed_ns = armed_ns
        self.common = {**COMMON, **kind.defaults, **{k: v for k, v in entry.items() if k in COMMON}}
        self.values = {**kind.values, **{k: v for k, v in entry.items() if k in kind.values}}
        self.held: dict[Any, Any] = {}
        self.seen: dict[Any, int] = {}
        self.fired = 0
        self.firing = False
        endless = self.common["chance"] or self.common["every"] or self.common["every_ms"]
        self.times = (
            0 if "times" not in entry and (endless or self.common["for_ms"]) else self.common["times"]
        )
        self.start_ns = armed_ns + self.common["at_ms"] * 1_000_000
        self.end_ns = self.start_ns + self.common["for_ms"] * 1_000_000 if self.common["for_ms"] else NEVER_NS

    @property
    def spent(self) -> bool:
        """Whether it has happened as often as it may."""
        return 0 < self.times <= self.fired

    @property
    def by_time(self) -> bool:
        """Whether a fault of a connection waits for a moment rather than for a frame."""
        return not any(name in self.entry for name in ("frame", "every", "chance", "topic"))

    def concerns_peer(self, peer: Peer) -> bool:
        """Return whether it is about a connection."""
        common = self.common
        return (
            common["connection"] in (0, peer.number)
            and common["category"] in ("", peer.category)
            and fnmatchcase(peer.gateway, common["gateway"])
        )

    def concerns_topic(self, topic: str) -> bool:
        """Return whether it is about a topic, or about the replies to an op."""
        return fnmatchcase(topic, self.common["topic"])

    def concerns_path(self, path: str, query: dict[str, str]) -> bool:
        """Return whether it is about a REST request."""
        common = self.common
        return (
            fnmatchcase(path, common["path"])
            and common["category"] in ("", query.get("category", ""))
            and common["symbol"] in ("", query.get("symbol", ""))
        )

    def is_due(self, key: Any, now_ns: int, payload: bytes = b"") -> bool:
        """Count one that matches, and return whether the fault happens to it."""
        common = self.common
        if self.spent or not self.start_ns <= now_ns < self.end_ns:
            return False
        if common["only"] and b'"type":"%b"' % common["only"].encode() not in payload[:200]:
            return False
        count = self.seen[key] = self.seen.get(key, 0) + 1
        if common["chance"]:
            return bool(self.random.random() < common["chance"])
        if common["every"]:
            first = common["frame"] or common["every"]
            return bool(count >= first and (count - first) % common["every"] == 0)
        return not common["frame"] or count == common["frame"]

    def forget(self, connection: int) -> None:
        """Drop what is counted and remembered of a connection that has gone."""
        for memory in (self.seen, self.held):
            for key in [key for key in memory if key == connection or _is_of(key, connection)]:
                del memory[key]

    def next_ns(self, key: Any, opened_ns: int) -> int:
        """Return when it happens next to a connection or to the market."""
        if self.spent:
            return NEVER_NS
        age_ns = self.common["age_ms"] * 1_000_000
        first_ns = max(self.start_ns, opened_ns + age_ns if age_ns else 0)
        due_ns = int(self.held.get(key, first_ns))
        return due_ns if due_ns < self.end_ns else NEVER_NS

    def rest_until_next(self, key: Any, now_ns: int) -> None:
        """Remember that it happened at a moment."""
        every_ns = self.common["every_ms"] * 1_000_000
        self.held[key] = now_ns + every_ns if every_ns else NEVER_NS


def _is_of(key: Any, connection: int) -> bool:
    return isinstance(key, tuple) and key[0] == connection
