"""What several legs of one book may and may not lead to, told from the venue's side.

The venue's messages are known here, and what became of each on each leg. From that alone follows which leg is
in step, so that a gap without need, a hole without a gap, a message told twice and a wrong book show.
"""

from dataclasses import dataclass, replace
from random import Random

from ext.book import BookState, OrderBook
from ext.listener import Gap, Listener
from tests.support.frames import Market, Message, TruthSide, book_frame


@dataclass(frozen=True)
class Sent:
    """A message of the venue and the book that it led to. `number` counts all of them."""

    number: int
    epoch: int
    frame: bytes
    update_id: int
    seq: int
    is_snapshot: bool
    bids: TruthSide
    asks: TruthSide


class Venue:
    """One book's messages: `history` has what was published to whoever was subscribed."""

    def __init__(self, random: Random, *, depth: int = 50, first_update_id: int = 1_000) -> None:
        self.random = random
        self.market = Market(random, depth=depth, first_update_id=first_update_id)
        self.depth = depth
        self.epoch = 0
        self.history: list[Sent] = []
        self.by_numbers: dict[tuple[int, int], Sent] = {}
        self.publish()

    def publish(self) -> Sent:
        """A change; at depth 1 all of it, and now and then a whole book elsewhere too."""
        if self.depth == 1:
            return self._note(self.market.delta(), whole=True)
        if not self.history or self.random.random() < 0.03:
            return self._note(self.market.snapshot())
        return self._note(self.market.delta())

    def restart(self) -> Sent:
        self.epoch += 1
        return self._note(self.market.restart())

    def subscribed(self) -> Sent:
        """What a new subscriber gets: the last state, with the numbers it was published with."""
        return whole_book(self.history[-1], self.depth)

    def _note(self, message: Message, *, whole: bool = False) -> Sent:
        market = self.market
        sent = Sent(
            len(self.history),
            self.epoch,
            message.frame,
            message.update_id,
            market.seq,
            message.is_snapshot,
            message.bids,
            message.asks,
        )
        self.history.append(whole_book(sent, self.depth) if whole else sent)
        self.by_numbers[sent.update_id, sent.seq] = sent
        return self.history[-1]


def whole_book(sent: Sent, depth: int) -> Sent:
    frame = book_frame(
        "snapshot",
        sent.update_id,
        [(str(price), str(size)) for price, size in sorted(sent.bids.items(), reverse=True)],
        [(str(price), str(size)) for price, size in sorted(sent.asks.items())],
        seq=sent.seq,
        depth=depth,
    )
    return replace(sent, frame=frame, is_snapshot=True)


@dataclass
class TrueLeg:
    """What a leg has brought: everything from `since` on up to `last`, where it is in step."""

    since: int = 0
    last: Sent | None = None

    def brought(self, sent: Sent) -> None:
        is_next = self.last is not None and sent.number == self.last.number + 1
        if sent.is_snapshot and not is_next:
            self.since = sent.number
        if sent.is_snapshot or is_next:
            self.last = sent
        elif self.last is not None and sent.number != self.last.number:
            self.last = None


class Told(Listener):
    """The books (by `u` and `seq`) and gaps that a listener was told of, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int] | Gap] = []

    def on_book(self, book: OrderBook) -> None:
        assert book.state == BookState.LIVE
        self.calls.append((book.update_id, book.seq))

    def on_gap(self, gap: Gap) -> None:
        self.calls.append(gap)


class SlowLegs:
    """The legs of one book. Say what happens before it does, then `check` what was told of it."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.legs: dict[int, TrueLeg] = {}
        self.last: Sent | None = None  # of what was told
        self._checked = 0
        self._is_excused = True
        self._has_gap = True

    def brought(self, leg: int, sent: Sent) -> None:
        was_carried = self._is_carried()
        self.legs[leg].brought(sent)
        begins_anew = self.last is not None and any(
            other.last is not None and other.last.epoch > self.last.epoch for other in self.legs.values()
        )
        is_alone = not any(self.is_carried_by(other) for number, other in self.legs.items() if number != leg)
        self._is_excused = (
            begins_anew or not was_carried or not self._is_carried() or (sent.is_snapshot and is_alone)
        )

    def lost(self, leg: int) -> None:
        self.legs[leg].last = None
        self._is_excused = not self._is_carried()

    def removed(self) -> None:
        """No leg is to carry the book any more: whatever comes next begins anew, without a gap."""
        self._has_gap = True

    def is_carried_by(self, leg: TrueLeg) -> bool:
        """Whether a leg counts as the book does, and brought all that comes after what was told."""
        told = self.last
        return (
            leg.last is not None
            and told is not None
            and leg.last.epoch == told.epoch
            and leg.since <= told.number + 1
        )

    def _is_carried(self) -> bool:
        return any(self.is_carried_by(leg) for leg in self.legs.values())

    def _is_next(self, sent: Sent) -> bool:
        if self.last is None:
            return False
        # Level 1 is told whole each time: what is left out is not lost.
        if self.venue.depth == 1:
            return sent.number > self.last.number
        # A restart whose first message was lost can stand at the very `u` that comes next: nothing tells it.
        return sent.number > self.last.number and sent.update_id == self.last.update_id + 1

    def check(self, book: OrderBook, told: Told) -> None:
        for call in told.calls[self._checked :]:
            if isinstance(call, Gap):
                assert call.is_closed or self._is_excused, f"without need: {call}"
                self._has_gap = True
                continue
            sent = self.venue.by_numbers[call]
            is_next = self._is_next(sent)
            assert is_next or self._has_gap, (
                f"after {self.last and self.last.number} came {sent.number}, no gap"
            )
            self.last = sent
            self._has_gap = False
        self._checked = len(told.calls)
        if book.state == BookState.STALE:
            for leg in self.legs.values():
                leg.last = None  # each needs a snapshot of its own
        elif book.state == BookState.LIVE:
            true = self.venue.by_numbers[book.update_id, book.seq]
            assert true == self.last or (self.last and true.number == self.last.number)
            assert (dict(book.bids()), dict(book.asks())) == (true.bids, true.asks)
