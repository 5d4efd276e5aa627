"""Many faults and many clean frames, given to a Dispatcher directly."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from chaos.bulk import Message, Strip
from chaos.outcome import Outcome
from engine import Dispatcher, Event, Gap, Listener, OrderBook
from engine.clock import NS_PER_S
from ext.book import BookState

__all__ = ["clean_frames", "detectable_faults"]

MS: Final = 1_000_000
START_NS: Final = 1_790_000_000 * NS_PER_S
BLOCK_FRAMES: Final = 10_000
CHECK_EVERY: Final = 61


class _Ledger(Listener):
    """Counts gaps by cause, and holds every n-th book against its true checksum."""

    def __init__(self, check_every: int = 1) -> None:
        self.gaps: Counter[str] = Counter()
        self.malformed = 0
        self.books = 0
        self.checked = 0
        self.wrong: list[str] = []
        self.true: Mapping[int, int] = {}
        self._every = check_every

    def on_book(self, book: OrderBook) -> None:
        self.books += 1
        if self.books % self._every:
            return
        self.checked += 1
        if self.true.get(book.update_id) != book.checksum() or book.state != BookState.LIVE:
            self.wrong.append(f"{book.topic} at u={book.update_id}")

    def on_gap(self, gap: Gap) -> None:
        if not gap.is_closed:
            self.gaps[gap.cause] += 1

    def on_event(self, event: Event) -> None:
        self.malformed += event.kind == "malformed"


# faults, each noticed by the next message of its topic at the latest

Fault = Callable[[Strip, Message], list[bytes]]


def _lost(strip: Strip, last: Message) -> list[bytes]:
    for _ in range(strip.random.randint(1, 30)):
        strip.delta()
    return [strip.delta().frame]


def _swapped(strip: Strip, last: Message) -> list[bytes]:
    first, second = strip.delta(), strip.delta()
    return [second.frame, first.frame]


def _old(strip: Strip, last: Message) -> list[bytes]:
    return [strip.at(last, last.update_id - strip.random.randint(1, 50), last.seq)]


def _altered(strip: Strip, last: Message) -> list[bytes]:
    return [strip.at(strip.delta(), last.update_id, last.seq)]


def _begins_anew(strip: Strip, last: Message) -> list[bytes]:
    return [strip.at(strip.delta(), 1, last.seq + 1)]


def _seq_fell(strip: Strip, last: Message) -> list[bytes]:
    delta = strip.delta()
    return [strip.at(delta, delta.update_id, last.seq - strip.random.randint(1, 500))]


def _cut_short(strip: Strip, last: Message) -> list[bytes]:
    frame = strip.delta().frame
    return [frame[: strip.random.randrange(60, len(frame))]]


def _damaged(strip: Strip, last: Message) -> list[bytes]:
    frame = strip.delta().frame
    place = strip.random.randrange(len(frame))
    return [frame[:place] + b"\xff" + frame[place + 1 :], strip.delta().frame]


def _crossed(strip: Strip, last: Message) -> list[bytes]:
    return [strip.delta().frame.replace(b'"b":[', b'"b":[["9999999.90","1"],', 1).replace(b",]", b"]", 1)]


def _restarted_unseen(strip: Strip, last: Message) -> list[bytes]:
    strip.snapshot(update_id=1)
    return [strip.delta().frame]


def _snapshot_after_a_hole(strip: Strip, last: Message) -> list[bytes]:
    for _ in range(strip.random.randint(1, 30)):
        strip.delta()
    return [strip.snapshot().frame]


FAULTS: Final[Mapping[str, Fault]] = {
    "lost": _lost,
    "swapped": _swapped,
    "old": _old,
    "altered": _altered,
    "begins_anew": _begins_anew,
    "seq_fell": _seq_fell,
    "cut_short": _cut_short,
    "damaged": _damaged,
    "crossed": _crossed,
    "restarted_unseen": _restarted_unseen,
    "snapshot_after_a_hole": _snapshot_after_a_hole,
}


def detectable_faults(count: int, seed: int) -> Outcome:
    """Inject ``count`` faults into books of every depth: each must open a gap at once, no book be wrong."""
    random = Random(seed)  # noqa: S311 (a test's dice, not a secret)
    outcome = Outcome("detectable faults")
    strips = [Strip(random, depth) for depth in (50, 200)]
    ledgers = [_Ledger() for _ in strips]
    dispatchers = [Dispatcher("linear", ledger) for ledger in ledgers]
    injected: Counter[str] = Counter()
    noticed: Counter[str] = Counter()
    recv_ns = START_NS
    for number in range(count):
        which = number % len(strips)
        strip, ledger, dispatcher = strips[which], ledgers[which], dispatchers[which]
        true: dict[int, int] = {}
        ledger.true = true
        last = strip.snapshot(update_id=random.randint(1_000, 10**9))
        true[last.update_id] = strip.checksum
        frames = [last.frame]
        for _ in range(random.randint(1, 3)):
            last = strip.delta()
            true[last.update_id] = strip.checksum
            frames.append(last.frame)
        for frame in frames:
            recv_ns += MS
            dispatcher.feed(frame, recv_ns)
        before = ledger.gaps.total()
        name = random.choice(list(FAULTS))
        faulty = FAULTS[name](strip, last)
        true[strip.update_id] = strip.checksum
        injected[name] += 1
        for frame in faulty:
            recv_ns += MS
            dispatcher.feed(frame, recv_ns)
        if ledger.gaps.total() > before:
            noticed[name] += 1
        else:
            outcome.fail(f"{name} number {number} was not noticed: {faulty[0][:200]!r}")
        # What follows is as good as a resynchronisation: the next snapshot, under any update id.
        strip.update_id += 1
    for ledger in ledgers:
        for wrong in ledger.wrong:
            outcome.fail(f"a wrong book: {wrong}")
    outcome.figures = {
        "injected": injected.total(),
        "noticed": noticed.total(),
        "kinds": dict(sorted(injected.items())),
        "books_checked": sum(ledger.checked for ledger in ledgers),
    }
    return outcome


def clean_frames(count: int, seed: int, limit_s: float = float("inf")) -> Outcome:
    """Feed ``count`` clean frames with restarts, repeats and snapshots: the only gaps are the restarts."""
    random = Random(seed)  # noqa: S311 (a test's dice, not a secret)
    outcome = Outcome("clean frames")
    began_s = time.monotonic()
    fed = restarts = repeats = snapshots = 0
    lanes = []
    for category in ("linear", "spot"):
        for depth in (1, 50, 200):
            ledger = _Ledger(CHECK_EVERY)
            block = Strip(random, depth, category).block(min(BLOCK_FRAMES, max(100, count // 20)))
            ledger.true = block.checksums
            lanes.append((Dispatcher(category, ledger), ledger, block))
    recv_ns = START_NS
    rounds = 0
    while fed < count and time.monotonic() - began_s < limit_s:
        for dispatcher, _, block in lanes:
            feed = dispatcher.feed
            for frame in block.frames:
                recv_ns += MS
                feed(frame, recv_ns)
            fed += len(block.frames)
            repeats += block.repeats
            snapshots += block.snapshots
            restarts += rounds > 0
        rounds += 1
    gaps = sum((ledger.gaps for _, ledger, _ in lanes), Counter[str]())
    false_gaps = gaps.total() - restarts
    if gaps != Counter({"restart": restarts} if restarts else {}):
        outcome.fail(f"expected {restarts} gaps of cause restart and no other, got {dict(gaps)}")
    for _, ledger, _ in lanes:
        for wrong in ledger.wrong:
            outcome.fail(f"a wrong book: {wrong}")
    counted = sum(dispatcher.counters["repeats"] for dispatcher, _, _ in lanes)
    if counted != repeats:
        outcome.fail(f"{repeats} repeats were sent, {counted} counted")
    outcome.figures = {
        "frames": fed,
        "false_gaps": false_gaps,
        "restarts": restarts,
        "repeats": repeats,
        "snapshots": snapshots,
        "books_checked": sum(ledger.checked for _, ledger, _ in lanes),
    }
    return outcome
