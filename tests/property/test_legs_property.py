"""Legs that carry the same book, delayed against each other, cut, dropping, restarted: one right book."""

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.book import BookState, OrderBook
from ext.dispatch import Dispatcher
from ext.listener import Control
from tests.support.oracle_legs import Sent, SlowLegs, Told, TrueLeg, Venue

BEHIND_MAX = 50  # messages; a leg that waits for more than 64 gives up
STEPS = 400


@dataclass
class Line:
    """One leg's way from the venue: what was sent and has not arrived."""

    is_open: bool = False
    needs_snapshot: bool = False
    queue: list[Sent] = field(default_factory=list)


class Lines(Control):
    """Legs between a venue and a dispatcher. Every call is kept, so that it can be made again."""

    def __init__(self, random: Random, count: int, depth: int) -> None:
        self.random = random
        self.venue = Venue(random, depth=depth)
        self.told = Told()
        self.dispatcher = Dispatcher("linear", self.told, control=self)
        self.oracle = SlowLegs(self.venue)
        self.topic = f"orderbook.{depth}.BTCUSDT"
        self.depth = depth
        self.lines = [Line() for _ in range(count)]
        self.script: list[tuple[str, int, bytes]] = []
        self.oracle.legs = {leg: TrueLeg() for leg in range(count)}
        for leg in range(count):
            self.open(leg)

    def on_desync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.lines[leg].needs_snapshot = True

    @property
    def book(self) -> OrderBook:
        book = self.dispatcher.book("BTCUSDT", self.depth)
        assert book is not None
        return book

    def open(self, leg: int) -> None:
        self._do("desired", leg)
        self.lines[leg] = Line(is_open=True, queue=[self.venue.subscribed()])

    def cut(self, leg: int) -> None:
        self.lines[leg] = Line()
        self.oracle.lost(leg)
        self._do("disconnected", leg)

    def remove(self, leg: int) -> None:
        self.lines[leg] = Line()
        self.oracle.lost(leg)
        self._do("removed", leg)
        if not self.dispatcher.legs_of(self.topic):
            self.oracle.removed()

    def resubscribe(self, leg: int) -> None:
        line = self.lines[leg]
        line.needs_snapshot = False
        line.queue.append(self.venue.subscribed())

    def publish(self, sent: Sent) -> None:
        for leg, line in enumerate(self.lines):
            if line.is_open:
                line.queue.append(sent)
                while len(line.queue) > BEHIND_MAX:
                    self.deliver(leg)

    def deliver(self, leg: int, again: bool = False) -> None:
        queue = self.lines[leg].queue
        sent = queue[0] if again else queue.pop(0)
        self.oracle.brought(leg, sent)
        self._do("feed", leg, sent.frame)

    def drop(self, leg: int) -> None:
        line = self.lines[leg]
        if line.queue.pop(self.random.randrange(len(line.queue))).is_snapshot:
            line.needs_snapshot = True  # who waits for one asks again, after a while

    def _do(self, name: str, leg: int, frame: bytes = b"") -> None:
        self.script.append((name, leg, frame))
        obey(self.dispatcher, self.topic, len(self.script), name, leg, frame)
        if name != "desired":
            self.oracle.check(self.book, self.told)

    def step(self, faults: bool) -> None:
        leg = self.random.randrange(len(self.lines))
        line = self.lines[leg]
        chance = self.random.random()
        if line.queue and chance < 0.5:
            self.deliver(leg)
        elif chance < 0.8 or not faults:
            self.publish(self.venue.publish())
        elif not line.is_open:
            self.open(leg)
        elif line.needs_snapshot:
            self.resubscribe(leg)
        elif chance < 0.82:
            self.cut(leg)
        elif chance < 0.83:
            self.remove(leg)
        elif chance < 0.84 and self.is_through_restart:
            self.publish(self.venue.restart())
        elif line.queue and chance < 0.86:
            self.drop(leg)
        elif line.queue and chance < 0.88 and not line.queue[0].is_snapshot:
            self.deliver(leg, again=True)

    @property
    def is_through_restart(self) -> bool:
        """Whether every leg has brought the last restart: the venue does not do two within seconds."""
        return all(sent.epoch == self.venue.epoch for line in self.lines for sent in line.queue)

    def settle(self) -> None:
        """Let everything arrive that is on its way, and what was asked for."""
        for _ in range(4):
            self.publish(self.venue.publish())
            for leg, line in enumerate(self.lines):
                if line.needs_snapshot and line.is_open:
                    self.resubscribe(leg)
                while line.queue:
                    self.deliver(leg)


def obey(dispatcher: Dispatcher, topic: str, recv_ns: int, name: str, leg: int, frame: bytes) -> None:
    if name == "feed":
        dispatcher.feed(frame, recv_ns, leg)
    elif name == "disconnected":
        dispatcher.disconnected(leg, recv_ns)
    else:
        getattr(dispatcher, name)([topic], recv_ns, leg)


@pytest.mark.parametrize("depth", [50, 1])
@given(seed=st.integers(0, 2**32), count=st.integers(2, 3))
def test_the_book_is_right_whatever_happens_to_its_legs(depth: int, seed: int, count: int) -> None:
    lines = Lines(Random(seed), count, depth)
    for _ in range(STEPS):
        lines.step(faults=True)
    lines.settle()
    if any(line.is_open for line in lines.lines):
        assert lines.book.state == BookState.LIVE
        assert lines.book.update_id == lines.venue.history[-1].update_id


@given(seed=st.integers(0, 2**32), count=st.integers(2, 3))
def test_without_faults_the_book_is_that_of_one_leg(seed: int, count: int) -> None:
    lines = Lines(Random(seed), count, 50)
    for _ in range(STEPS):
        lines.step(faults=False)
    lines.settle()
    alone = Told()
    dispatcher = Dispatcher("linear", alone)
    first = lines.told.calls[0]
    assert isinstance(first, tuple)
    begin = lines.venue.by_numbers[first].number
    for sent in lines.venue.history[begin:]:
        dispatcher.feed(sent.frame, 1)
    assert lines.told.calls[1:] == alone.calls[-len(lines.told.calls) + 1 :]
    assert lines.told.calls[-1] == (lines.venue.history[-1].update_id, lines.venue.history[-1].seq)
    assert all(leg["mismatches"] == 0 for leg in lines.dispatcher.legs())


@given(seed=st.integers(0, 2**32))
def test_the_same_calls_give_the_same_callbacks(seed: int) -> None:
    lines = Lines(Random(seed), 2, 50)
    for _ in range(STEPS):
        lines.step(faults=True)
    again = Told()
    dispatcher = Dispatcher("linear", again)
    for number, (name, leg, frame) in enumerate(lines.script, 1):
        obey(dispatcher, lines.topic, number, name, leg, frame)
    assert [repr(call) for call in again.calls] == [repr(call) for call in lines.told.calls]
    assert dispatcher.legs() == lines.dispatcher.legs()
