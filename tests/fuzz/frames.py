"""Frames into the dispatcher: against the slow one, the other way of reading, the edge of memory."""

import ctypes
import mmap
from functools import cache
from random import Random

import orjson

from chaos.bulk import Strip
from ext.dispatch import Dispatcher
from ext.listener import Listener
from simulator.instruments import listing
from simulator.tape import Tape
from tests.property.test_decoder_property import Driver
from tests.support.frames import wild_trade_message
from tests.support.listeners import Notes
from tests.support.spelling import ORDERED_FREELY, PLAIN, WILD, mutate, write

FRAMES_A_CASE = 25
SPELLINGS = (PLAIN, ORDERED_FREELY, WILD)
RECV_NS = 1_790_000_000_000_000_000
PAGE = mmap.PAGESIZE
SPACE = 64 * PAGE
PROTECTION_NONE = 0


def oracle(random: Random) -> None:
    """Spelled in every way, with nonsense, damaged: as the slow decoder and dispatcher take them."""
    driver = Driver(random, again=0.1, category=random.choice(("linear", "spot", "option", "spread")))
    for _ in range(FRAMES_A_CASE):
        spelling, damaged = random.choice(SPELLINGS), random.random() < 0.5
        if random.random() < 0.7:
            driver.feed_book(spelling, oddity=random.choice((0.0, 0.4)), damaged=damaged)
        else:
            driver.feed(write(random, wild_trade_message(random, 0.3), spelling), damaged)


@cache
def venue_frames() -> tuple[bytes, ...]:
    """Frames as the simulator writes them: books of three depths, trades, liquidations."""
    random = Random(1)
    found = []
    for depth in (1, 50, 200):
        strip = Strip(random, depth)
        found += [strip.snapshot().frame, *(strip.delta().frame for _ in range(40))]
    for category in ("linear", "spot"):
        tape = Tape(listing(f"{category}:BTCUSDT"), random, 120)
        for step in tape.steps:
            if step.trades is not None:
                found.append(step.trades.template.replace(b"%d", b"7").replace(b"%016d", b"0" * 16))
    return tuple(found)


def both_ways(random: Random) -> None:
    """What a frame does is the same whether the fused way takes it or, for a space before it, the other."""
    ways = [Notes(), Notes()]
    dispatchers = [Dispatcher("linear", notes) for notes in ways]
    frames = venue_frames()
    start = random.randrange(len(frames))
    for frame in (frames * 2)[start : start + FRAMES_A_CASE]:
        if random.random() < 0.5:
            frame = mutate(random, frame)
        try:
            orjson.loads(frame)
        except ValueError:
            for dispatcher in dispatchers:
                dispatcher.feed(frame, RECV_NS)
            continue
        for dispatcher, text in zip(dispatchers, (frame, b" " + frame), strict=True):
            dispatcher.feed(text, RECV_NS)
        first, second = ({**one.counters, "fallback": 0} for one in dispatchers)
        assert first == second, f"after {frame!r}"
        assert dispatchers[0].books() == dispatchers[1].books(), f"after {frame!r}"
    calls = [[(gap.topic, gap.cause, gap.is_closed) for gap in notes.gaps] for notes in ways]
    assert calls[0] == calls[1]


@cache
def edge() -> tuple[mmap.mmap, memoryview]:
    """Memory behind which lies a page that nobody may read."""
    memory = mmap.mmap(-1, SPACE + PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    library = ctypes.CDLL(None, use_errno=True)
    if library.mprotect(ctypes.c_void_p(start + SPACE), PAGE, PROTECTION_NONE) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    return memory, memoryview(memory)


def out_of_bounds(random: Random) -> None:
    """No byte beyond a frame is read: it would end this process."""
    memory, view = edge()
    dispatcher = Dispatcher("linear", Listener())
    for _ in range(FRAMES_A_CASE):
        frame = mutate(random, random.choice(venue_frames()))
        if random.random() < 0.5:
            frame = frame[: random.randrange(len(frame) + 1)] + random.choice((b"", b"}", b'"', b"]}"))
        at = SPACE - len(frame)
        memory[at:SPACE] = frame
        dispatcher.feed(view[at:SPACE], RECV_NS)
