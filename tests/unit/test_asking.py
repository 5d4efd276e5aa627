"""When REST is asked, in virtual time: full books until they are there, holes a few times, audits in turn."""

from engine.audit import Auditor
from engine.backfill import ATTEMPTS_MAX, Backfill
from engine.clock import NS_PER_S
from engine.full_book import FullBooks

TOPIC = "orderbook.full.BTCUSDT"


def asked_at(books: FullBooks, until_s: float) -> list[float]:
    """The times at which a topic was asked for; each answer comes at once and meets no change."""
    times = []
    for tenth in range(round(until_s * 10) + 1):
        for topic, _ in books.take_due(tenth * NS_PER_S // 10, 9):
            times.append(tenth / 10)
            books.asked(topic, tenth * NS_PER_S // 10)
    return times


def test_a_full_book_is_asked_for_until_it_is_there_less_and_less_often() -> None:
    books = FullBooks()
    books.want(TOPIC, 3, 0)
    assert asked_at(books, 100) == [0.3, 1.3, 3.3, 7.3, 15.3, 31.3, 61.3, 91.3]
    assert books.wanted == [TOPIC]
    books.synced(TOPIC)
    assert books.wanted == []
    assert books.take_due(10**15, 9) == []


def test_a_full_book_is_asked_for_once_at_a_time_however_often_it_is_wanted() -> None:
    books = FullBooks()
    for leg in (0, 1, 2):
        books.want(TOPIC, leg, 0)
    assert books.take_due(NS_PER_S, 9) == [(TOPIC, 2)]
    books.want(TOPIC, 2, NS_PER_S)
    assert books.take_due(100 * NS_PER_S, 9) == []
    books.asked(TOPIC, 100 * NS_PER_S)
    assert books.take_due(101 * NS_PER_S, 9) == [(TOPIC, 2)]
    books.synced("orderbook.full.OTHER")


def test_only_so_many_full_books_are_asked_for_at_a_time() -> None:
    books = FullBooks()
    for number in range(3):
        books.want(f"orderbook.full.COIN{number}", 0, 0)
    assert len(books.take_due(NS_PER_S, 2)) == 2
    assert len(books.take_due(NS_PER_S, 2)) == 1
    assert books.asks == 3


TRADES = ("publicTrade.BTCUSDT", 100, 300)
CANDLES = ("kline.5.BTCUSDT", 100, -1)


def test_a_hole_is_asked_for_until_it_is_filled_trades_at_once() -> None:
    backfill = Backfill()
    backfill.note([TRADES, CANDLES], 0)
    holes = backfill.take_due(0, 9)
    assert backfill.take_due(NS_PER_S - 1, 9) == []
    holes += backfill.take_due(NS_PER_S, 9)
    assert [(hole.use, hole.from_ms, hole.until_ms) for hole in holes] == [
        ("trades", 100, 300),
        ("kline", 100, -1),
    ]
    assert backfill.take_due(10 * NS_PER_S, 9) == []
    assert not backfill.asked(holes[0], 10 * NS_PER_S)
    backfill.note([CANDLES], 10 * NS_PER_S)
    assert backfill.take_due(10**15, 9) == []


def test_only_so_many_holes_are_asked_for_at_a_time_and_the_oldest_first() -> None:
    backfill = Backfill()
    backfill.note([(f"publicTrade.COIN{number}USDT", 1, 2) for number in range(5)], 0)
    assert [hole.topic[-5] for hole in backfill.take_due(NS_PER_S, 2)] == ["0", "1"]
    assert [hole.topic[-5] for hole in backfill.take_due(NS_PER_S, 9)] == ["2", "3", "4"]
    assert backfill.asks == 5


def test_a_hole_that_no_answer_fills_is_given_up_and_the_next_one_is_not() -> None:
    backfill = Backfill()
    now_ns = 0
    for attempt in range(1, ATTEMPTS_MAX + 1):
        backfill.note([TRADES], now_ns)
        now_ns += 60 * NS_PER_S
        (hole,) = backfill.take_due(now_ns, 9)
        assert backfill.asked(hole, now_ns) == (attempt == ATTEMPTS_MAX)
        assert backfill.take_due(now_ns, 9) == []
    backfill.note([TRADES], now_ns)
    assert backfill.take_due(10**15, 9) == []
    backfill.note([("publicTrade.BTCUSDT", 500, -1)], now_ns)
    assert len(backfill.take_due(10**15, 9)) == 1


def test_audits_take_all_books_in_turn_one_every_interval() -> None:
    books = [("linear", "orderbook.1000.B"), ("spot", "orderbook.1000.A"), ("linear", "orderbook.1000.A")]
    auditor = Auditor(10, 0)
    assert not auditor.is_due(10 * NS_PER_S - 1)
    chosen = []
    for turn in range(1, 6):
        assert auditor.is_due(10 * turn * NS_PER_S)
        chosen.append(auditor.begin(books, 10 * turn * NS_PER_S))
        assert not auditor.is_due(10 * turn * NS_PER_S)
    in_turn = sorted(books)
    assert chosen == [*in_turn, *in_turn[:2]]
    assert auditor.begin([], 10**15) is None
    assert auditor.begun == 5
