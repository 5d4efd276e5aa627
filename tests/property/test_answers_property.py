"""Full books and backfills under faults drawn at random, held against what the venue really had."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ext.book import BookState
from ext.dispatch import Dispatcher
from tests.support.frames import trade_frame
from tests.support.listeners import ControlNotes, Notes
from tests.support.special import book, book_answer, rest_trade, trade, trades_answer

seeds = st.randoms(use_true_random=True)
FULL, TRADES = "orderbook.full.BTCUSDT", "publicTrade.BTCUSDT"
Side = dict[int, int]


class Venue:
    """The true full book: every state of it that ever was, by (u, seq)."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.u, self.seq = random.randint(1, 50), 1000
        self.bids: Side = dict.fromkeys(range(1, 6), 1)
        self.history = {(self.u, self.seq): dict(self.bids)}

    def delta(self) -> bytes:
        random = self.random
        # Two restarts close together, the second one's frame lost, look like none: no client can tell.
        restarts = random.random() < 0.06 and self.u > 20
        self.u = 1 if restarts else self.u + 1
        self.seq += random.randint(0 if not restarts else 1, 3)
        change = {random.randint(1, 9): random.randint(0, 3) for _ in range(random.randint(0, 3))}
        self.bids = {price: size for price, size in (self.bids | change).items() if size}
        self.history[self.u, self.seq] = dict(self.bids)
        levels = [(str(price), str(size)) for price, size in change.items()]
        return book("full", "delta", self.u, levels, [], seq=self.seq)

    def answer(self, age: int) -> bytes:
        u, seq = list(self.history)[-1 - min(age, len(self.history) - 1)]
        levels = [(str(price), str(size)) for price, size in self.history[u, seq].items()]
        return book_answer(u, levels, [], seq=seq)


@settings(max_examples=150)
@given(seeds)
def test_a_live_full_book_is_the_true_one(random: Random) -> None:
    venue, notes, control = Venue(random), Notes(), ControlNotes()
    dispatcher = Dispatcher("spot", notes, control=control)

    def check() -> bool:
        found = dispatcher.book("BTCUSDT", "full")
        if found is None or found.state != BookState.LIVE:
            return False
        assert dict(found.bids()) == venue.history[found.update_id, found.seq]
        assert dispatcher.open_gaps() == []
        return True

    for recv_ns in range(1, 80):
        frame = venue.delta()
        fault = random.random()
        if fault > 0.06:
            dispatcher.feed(frame, recv_ns)
        if fault > 0.95:
            dispatcher.feed(frame, recv_ns)
        check()
        if random.random() < 0.2:
            dispatcher.rest("full_book", FULL, venue.answer(random.randint(0, 6)), recv_ns)
            check()
        if random.random() < 0.02:
            dispatcher.disconnected(0, recv_ns)
    # Without further faults a present answer makes it good.
    venue.random = Random(1)
    for recv_ns in range(80, 83):
        venue.u, venue.seq = venue.u + 1, venue.seq + 1
        venue.history[venue.u, venue.seq] = dict(venue.bids)
        dispatcher.feed(book("full", "delta", venue.u, [], [], seq=venue.seq), recv_ns)
    dispatcher.rest("full_book", FULL, venue.answer(0), 90)
    assert check()
    assert control.syncs != []


@settings(max_examples=150)
@given(seeds)
def test_a_backfill_delivers_what_was_missed_and_nothing_twice(random: Random) -> None:
    notes = Notes()
    dispatcher = Dispatcher("linear", notes)
    time_ms, happened, lost = 1000, 0, set[int]()
    times: dict[int, int] = {}
    is_away = False
    for _ in range(random.randint(5, 40)):
        burst = range(happened + 1, happened + 1 + random.randint(1, 4))
        for number in burst:
            time_ms += random.choice((0, 0, 1, 5))
            times[number] = time_ms
        happened = burst[-1]
        if is_away:
            lost.update(burst)
        else:
            frame = trade_frame(*[trade(number, times[number]) for number in burst])
            dispatcher.feed(frame, time_ms * 1_000_000)
        if random.random() < 0.2:
            if not is_away:
                dispatcher.disconnected(0, time_ms * 1_000_000)
            is_away = not is_away
        if not is_away and random.random() < 0.2:
            reach = random.randint(1, happened)
            answer = [rest_trade(number, times[number]) for number in range(reach, happened + 1)]
            unmatched = dispatcher.counters["answers_unmatched"]
            dispatcher.rest("trades", TRADES, trades_answer(answer), time_ms * 1_000_000)
            if dispatcher.counters["answers_unmatched"] == unmatched:
                assert dispatcher.holes() == []
                wanted = {number for number in lost if number >= reach}
                delivered = {int(each.size) for each in notes.trades}
                assert wanted <= delivered
                lost.clear()
    delivered_all = [int(each.size) for each in notes.trades]
    assert len(delivered_all) == len(set(delivered_all))
    assert all(each.time_ms == times[int(each.size)] for each in notes.trades)
