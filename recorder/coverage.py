"""Recorded, or in the ledger: whether that holds for every topic at every moment of a spool.

What is recorded is judged by the records alone, without a dispatcher: a topic is recorded while the recorder
shows signs of life and a connection is open on which the topic was confirmed or, where it begins with a
snapshot, had data. All times are steady (`recorder.timeline`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from engine.decisions import STOPPED
from ext.journal import Record, RecordKind
from ext.listener import Gap, Listener
from recorder.intervals import Interval, intersect, subtract, union
from recorder.playback import Playback
from recorder.spool.reader import SpoolReader
from recorder.spool.segments import first_payload
from recorder.timeline import Timeline
from recorder.wanted import Wanted

__all__ = ["ALIVE_NS_MAX", "SETTLE_NS_MAX", "Coverage", "coverage", "topic_of"]

ALIVE_NS_MAX: Final = 2_500_000_000  # between two records; there is a heartbeat each second
SETTLE_NS_MAX: Final = 10_000_000_000  # from the wish to the first data, without a gap that says more
SEAM_NS_MAX: Final = 1_000_000  # wall and monotonic clock are read one after the other
RUN_RECORDS: Final = 10_000
TOPIC_MARK: Final = b'"topic":"'
TOPIC_WITHIN_BYTES: Final = 256

Topic = tuple[str, str]  # category, topic


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of each topic, as sorted intervals: when it was wanted, recorded, in the ledger, and neither."""

    wanted: dict[Topic, list[Interval]] = field(default_factory=dict)
    recorded: dict[Topic, list[Interval]] = field(default_factory=dict)
    ledger: dict[Topic, list[Interval]] = field(default_factory=dict)
    uncovered: dict[Topic, list[Interval]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether every topic was recorded or in the ledger whenever it was wanted."""
        return not any(self.uncovered.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON, in seconds: of each topic how long, and the uncovered intervals."""
        return {
            "is_complete": self.is_complete,
            "topics": [
                {
                    "category": category,
                    "topic": topic,
                    "wanted_s": _seconds(self.wanted[category, topic]),
                    "recorded_s": _seconds(self.recorded[category, topic]),
                    "ledger_s": _seconds(self.ledger[category, topic]),
                    "uncovered_s": _seconds(self.uncovered[category, topic]),
                    "uncovered": [list(one) for one in self.uncovered[category, topic]],
                }
                for category, topic in sorted(self.wanted)
            ],
        }


def coverage(spool: Path) -> Coverage:
    """Read a spool from its first record to its last and say what is covered."""
    scan = _Scan()
    with SpoolReader(spool) as reader:
        while (item := reader.poll()) is not None:
            if isinstance(item, Record):
                scan.take(item)
    scan.finish()
    gaps = _gaps(spool, scan.timeline, scan.last_ns)
    found = Coverage()
    for topic, wanted in scan.wanted.items():
        carried = intersect(union(scan.carried[topic]), union(scan.alive))
        ledger = union(gaps[topic])
        begun = list(_settled(wanted, carried))
        found.wanted[topic] = union(begun)
        found.recorded[topic] = intersect(carried, found.wanted[topic])
        found.ledger[topic] = intersect(ledger, found.wanted[topic])
        uncovered = subtract(found.wanted[topic], union([*carried, *ledger]))
        found.uncovered[topic] = [one for one in uncovered if one[1] - one[0] > SEAM_NS_MAX]
    return found


class _Scan:
    """What the records say: when the recorder lived, a topic was wanted, a connection carried it."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.alive: list[Interval] = []
        self.wanted: dict[Topic, list[Interval]] = defaultdict(list)
        self.carried: dict[Topic, list[Interval]] = defaultdict(list)
        self.last_ns = 0
        self._present = Wanted()
        self._wanted_since: dict[Topic, int] = {}
        self._carried_since: dict[tuple[int, Topic], int] = {}
        self._categories: dict[int, str] = {}

    def take(self, record: Record) -> None:
        is_first = self.last_ns == 0
        now_ns = self.timeline.add(record)
        kind = RecordKind(record.kind)
        if kind == RecordKind.FRAME:
            if (topic := topic_of(record.payload)) and record.connection in self._categories:
                self._carry(record.connection, (self._categories[record.connection], topic), now_ns)
        elif kind == RecordKind.SEGMENT:
            self._segment(first_payload(record), now_ns)
        elif kind == RecordKind.STOPPED:
            self._note_wanted(now_ns)
        elif record.payload and kind not in (RecordKind.REST, RecordKind.CLOCK, RecordKind.NOTED):
            self._decision(kind, record.connection, orjson.loads(record.payload), now_ns)
        if not is_first and 0 <= now_ns - self.last_ns <= ALIVE_NS_MAX:
            self.alive.append((self.last_ns, now_ns))
            self._shorten_alive()
        self.last_ns = max(self.last_ns, now_ns)

    def finish(self) -> None:
        for connection, _ in list(self._carried_since):
            self._drop(connection, self.last_ns)
        for topic, since_ns in self._wanted_since.items():
            self.wanted[topic].append((since_ns, self.last_ns))

    def _shorten_alive(self) -> None:
        if len(self.alive) > 1 and self.alive[-2][1] == self.alive[-1][0]:
            (first_ns, _), (_, last_ns) = self.alive[-2:]
            self.alive[-2:] = [(first_ns, last_ns)]

    def _segment(self, payload: dict[str, Any], now_ns: int) -> None:
        if payload["reason"] == "start":
            for connection in list(self._categories):
                self._drop(connection, self.last_ns)
            self._categories.clear()
            if payload["topics"]:
                for category in self._present.topics:
                    self._present.keep(category, payload["topics"].get(category, ()))
            self._present.begin_run()
        for one in payload["connections"]:
            self._categories[one["connection"]] = one["category"]
        for category, topics in payload["topics"].items():
            fresh = self._present.unknown(category, topics)
            if payload["reason"] != "start":
                self._present.join(category, fresh, 0)
        self._note_wanted(now_ns)

    def _decision(self, kind: RecordKind, connection: int, payload: dict[str, Any], now_ns: int) -> None:
        category, topics = payload.get("category"), payload.get("topics")
        if kind == RecordKind.CONNECTED:
            self._categories[connection] = payload["category"]
        elif kind == RecordKind.DISCONNECTED:
            self._drop(connection, now_ns)
            if payload["cause"] == STOPPED:
                self._rest(payload["category"], now_ns)
        elif kind == RecordKind.REQUESTED and payload["op"] == "desire":
            self._present.join(payload["category"], payload["topics"], payload["leg"])
            self._note_wanted(now_ns)
        elif kind == RecordKind.REQUESTED and payload["op"] == "remove":
            self._present.part(payload["category"], payload["topics"], payload["leg"])
            self._drop(connection, now_ns, payload["topics"])
            self._note_wanted(now_ns)
        elif kind == RecordKind.CONFIRMED and payload["op"] == "subscribe":
            for topic in payload["topics"]:
                if not topic.startswith(("orderbook.", "tickers.")):
                    self._carry(connection, (payload["category"], topic), now_ns)
        elif kind in (RecordKind.STALLED, RecordKind.REJECTED) or (
            kind == RecordKind.REQUESTED and payload["op"] == "unsubscribe"
        ):
            self._drop(connection, now_ns, payload["topics"])
        elif kind == RecordKind.LOST and "end_ns" not in payload:
            for number, of in list(self._categories.items()):
                if category in (None, of):
                    self._drop(number, now_ns, topics)

    def _note_wanted(self, now_ns: int) -> None:
        present = {(category, topic) for category, topics in self._present.topics.items() for topic in topics}
        for topic in present - self._wanted_since.keys():
            self._wanted_since[topic] = now_ns
        for topic in self._wanted_since.keys() - present:
            self.wanted[topic].append((self._wanted_since.pop(topic), now_ns))

    def _rest(self, category: str, now_ns: int) -> None:
        """The recorder is ending: what no connection carries any more is wanted again once it has ended."""
        carried = {topic for _, topic in self._carried_since}
        for topic in [one for one in self._wanted_since if one[0] == category and one not in carried]:
            self.wanted[topic].append((self._wanted_since.pop(topic), now_ns))

    def _carry(self, connection: int, topic: Topic, now_ns: int) -> None:
        self._carried_since.setdefault((connection, topic), now_ns)

    def _drop(self, connection: int, now_ns: int, topics: Iterable[str] | None = None) -> None:
        """A connection carries these topics no more; None: none at all."""
        chosen = None if topics is None else set(topics)
        for carrier in [one for one in self._carried_since if one[0] == connection]:
            if chosen is None or carrier[1][1] in chosen:
                self.carried[carrier[1]].append((self._carried_since.pop(carrier), now_ns))


class _Ledger(Listener):
    """Collects gaps: by their identity the wall clock of their start, and the positions of their two rows."""

    def __init__(self) -> None:
        self.gaps: dict[tuple[Topic, int], tuple[int, int, int | None]] = {}

    def on_gap(self, gap: Gap) -> None:
        key = ((gap.category, gap.topic), gap.id)
        opened = self.gaps.get(key, (gap.start_ns, gap.position, None))
        self.gaps[key] = (opened[0], opened[1], gap.position if gap.end_ns else None)


def _gaps(spool: Path, timeline: Timeline, last_ns: int) -> dict[Topic, list[Interval]]:
    ledger = _Ledger()
    playback = Playback(spool, ledger)
    while playback.run(RUN_RECORDS):
        pass
    playback.close()
    found: dict[Topic, list[Interval]] = defaultdict(list)
    for (topic, _), (start_ns, opened, closed) in ledger.gaps.items():
        end_ns = last_ns if closed is None else timeline.at(closed)
        found[topic].append((timeline.of_wall(start_ns, opened), end_ns))
    return found


def _settled(wanted: list[Interval], carried: list[Interval]) -> Iterator[Interval]:
    """Begin each wish with its first data, where that came soon."""
    for start_ns, end_ns in wanted:
        first_ns = min((at_ns for at_ns, _ in carried if at_ns >= start_ns), default=end_ns)
        yield (first_ns if first_ns - start_ns <= SETTLE_NS_MAX else start_ns, end_ns)


def topic_of(payload: bytes) -> str:
    """Return the topic that a frame names near its beginning; "" where it names none."""
    start = payload.find(TOPIC_MARK, 0, TOPIC_WITHIN_BYTES)
    if start < 0:
        return ""
    start += len(TOPIC_MARK)
    return payload[start : payload.find(b'"', start)].decode()


def _seconds(intervals: list[Interval]) -> float:
    return sum(end - start for start, end in intervals) / 1e9
