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
        for topic, _ in books.take_due(tenth * NS_PER_S // 10):
            times.append(tenth / 10)
            books.answered(topic, tenth * NS_PER_S // 10)
    return times


def test_a_full_book_is_asked_for_until_it_is_there_less_and_less_often() -> None:
    books = FullBooks()
    books.want(TOPIC, 3, 0)
    assert asked_at(books, 100) == [0.3, 1.3, 3.3, 7.3, 15.3, 31.3, 61.3, 91.3]
    assert books.wanted == [TOPIC]
    books.synced(TOPIC)
    assert books.wanted == []
    assert books.take_due(10**15) == []


def test_a_full_book_is_asked_for_once_at_a_time_however_often_it_is_wanted() -> None:
    books = FullBooks()
    for leg in (0, 1, 2):
        books.want(TOPIC, leg, 0)
    assert books.take_due(NS_PER_S) == [(TOPIC, 2)]
    books.want(TOPIC, 2, NS_PER_S)
    assert books.take_due(100 * NS_PER_S) == []
    books.answered(TOPIC, 100 * NS_PER_S)
    assert books.take_due(101 * NS_PER_S) == [(TOPIC, 2)]
    books.synced("orderbook.full.OTHER")


def test_holes_of_one_topic_are_one_question() -> None:
    backfill = Backfill("linear")
    backfill.closed("publicTrade.BTCUSDT", 500, 900, 0)
    backfill.closed("publicTrade.BTCUSDT", 100, 300, 0)
    backfill.closed("kline.5.BTCUSDT", 100, 300, 0)
    backfill.closed("orderbook.50.BTCUSDT", 100, 300, 0)
    assert backfill.take_due(NS_PER_S - 1, 9) == []
    holes = backfill.take_due(NS_PER_S, 9)
    assert [(hole.use, hole.start_ns, hole.end_ns) for hole in holes] == [
        ("trades", 100, 900),
        ("kline", 100, 300),
    ]
    assert str(backfill.key(holes[1])) == "kline.5.BTCUSDT"
    assert backfill.waiting == []


def test_only_so_many_are_asked_at_a_time_and_the_oldest_first() -> None:
    backfill = Backfill("linear")
    for number in range(5):
        backfill.closed(f"publicTrade.COIN{number}USDT", 1, 2, 0)
    assert [hole.topic[-5] for hole in backfill.take_due(NS_PER_S, 2)] == ["0", "1"]
    assert [hole.topic[-5] for hole in backfill.take_due(NS_PER_S, 9)] == ["2", "3", "4"]
    assert backfill.asks == 5


def test_a_hole_that_no_answer_comes_for_is_given_up() -> None:
    backfill = Backfill("linear")
    backfill.closed("publicTrade.BTCUSDT", 1, 2, 0)
    now_ns = NS_PER_S
    for attempt in range(1, ATTEMPTS_MAX + 1):
        (hole,) = backfill.take_due(now_ns, 9)
        assert backfill.failed(hole, now_ns) == (attempt == ATTEMPTS_MAX)
        assert backfill.take_due(now_ns, 9) == []
        now_ns += 60 * NS_PER_S
    assert backfill.given_up == 1
    assert backfill.waiting == []


def test_a_gap_that_closes_while_another_is_asked_for_joins_it_when_that_fails() -> None:
    backfill = Backfill("linear")
    backfill.closed("publicTrade.BTCUSDT", 1, 2, 0)
    (hole,) = backfill.take_due(NS_PER_S, 9)
    backfill.closed("publicTrade.BTCUSDT", 8, 9, NS_PER_S)
    backfill.failed(hole, NS_PER_S)
    assert [(hole.start_ns, hole.end_ns) for hole in backfill.waiting] == [(1, 9)]
    backfill.forget(["publicTrade.BTCUSDT", "publicTrade.OTHER"])
    assert backfill.waiting == []


def test_audits_take_all_books_in_turn_one_every_interval() -> None:
    books = [("linear", "orderbook.1000.B"), ("spot", "orderbook.1000.A"), ("linear", "orderbook.1000.A")]
    auditor = Auditor(10, 0)
    assert auditor.next_topic(books, 9 * NS_PER_S) is None
    chosen = []
    for turn in range(1, 6):
        now_ns = 10 * turn * NS_PER_S
        chosen.append(auditor.next_topic(books, now_ns))
        assert auditor.next_topic(books, now_ns + NS_PER_S) is None
        (auditor.failed if turn == 2 else auditor.used)(now_ns)
        assert auditor.next_topic(books, now_ns + 9 * NS_PER_S) is None
    in_turn = sorted(books)
    assert chosen == [*in_turn, *in_turn[:2]]
    assert (auditor.begun, auditor.unanswered) == (5, 1)
    assert auditor.next_topic([], 10**15) is None


def test_an_answer_that_is_ahead_of_the_book_waits_for_it_but_not_for_ever() -> None:
    auditor = Auditor(10, 0)
    auditor.next_topic([("linear", "orderbook.1000.A")], 10 * NS_PER_S)
    assert not auditor.is_usable(100, 105, 10 * NS_PER_S)
    assert auditor.is_usable(105, 105, 11 * NS_PER_S)
    assert not auditor.is_usable(104, 105, 12 * NS_PER_S)
    assert auditor.is_usable(104, 105, 13 * NS_PER_S)
