"""The decoder reads no byte beyond its frame: each frame ends where a page begins that nobody may read."""

import ctypes
import mmap
import multiprocessing
from random import Random

from ext.dispatch import Dispatcher
from ext.listener import Listener
from tests.property.test_decoder_property import BOOK, TRADES, small_damages
from tests.support.frames import wild_book_message, wild_trade_message
from tests.support.spelling import ORDERED_FREELY, WILD, mutate, write

PAGE = mmap.PAGESIZE
SPACE = 16 * PAGE
PROTECTION_NONE = 0


def frames(seed: int) -> list[bytes]:
    random = Random(seed)
    valid = [BOOK, TRADES]
    for spelling in (ORDERED_FREELY, WILD):
        for update_id in range(1, 60):
            message = wild_book_message(random, "orderbook.50.BTCUSDT", "snapshot", update_id, update_id)
            valid += [
                write(random, message, spelling),
                write(random, wild_trade_message(random), spelling),
            ]
    damaged = [mutate(random, frame) for frame in valid for _ in range(10)]
    cut = [frame[: random.randrange(len(frame))] for frame in valid]
    # The fused decoder looks at nothing that does not end in a brace: let every cut end in one.
    closed = [frame[:size] + b"}" for frame in (BOOK, TRADES) for size in range(len(frame))]
    return [*valid, *damaged, *cut, *closed, *small_damages(BOOK), *small_damages(TRADES)]


def feed_at_the_edge(seed: int) -> None:
    with mmap.mmap(-1, SPACE + PAGE) as memory:
        library = ctypes.CDLL(None, use_errno=True)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        if library.mprotect(ctypes.c_void_p(start + SPACE), PAGE, PROTECTION_NONE) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
        dispatcher = Dispatcher("linear", Listener())
        with memoryview(memory) as view:
            for frame in frames(seed):
                at = SPACE - len(frame)
                memory[at:SPACE] = frame
                dispatcher.feed(view[at:SPACE], 1)
        assert dispatcher.counters["book_messages"] > 100
        assert dispatcher.counters["trade_messages"] > 100


def test_no_byte_beyond_the_frame_is_read(random: Random) -> None:
    seed = random.getrandbits(32)
    print(f"seed: {seed}")
    # A read beyond the frame kills the process: let it be another one.
    process = multiprocessing.get_context("spawn").Process(target=feed_at_the_edge, args=(seed,))
    process.start()
    process.join(60)
    assert process.exitcode == 0, (
        f"the process ended with {process.exitcode} (negative: killed by that signal)"
    )
