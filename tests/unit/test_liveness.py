"""Dead topics are known within six seconds of the proof, quiet ones are left alone, in virtual time."""

from random import Random

import pytest

from engine.clock import NS_PER_S
from engine.liveness import SAMPLE_S, UNPROVEN, Liveness
from ext.dispatch import Dispatcher
from ext.listener import Listener
from tests.support.market import START_NS, S, book_frame
from tests.support.quiet import Quiet

KNOWN_S_MAX = 6.0


def died(quiet: Quiet, kind: str) -> None:
    quiet.symbols[0].dead.add(kind)


@pytest.fixture
def quiet() -> Quiet:
    """One symbol whose venue was seen to repeat itself."""
    quiet = Quiet("BTCUSDT")
    quiet.pass_time(4)
    assert quiet.liveness.is_armed
    return quiet


def test_hours_of_nothing_but_repeats_are_no_verdict() -> None:
    quiet = Quiet("BTCUSDT", "ETHUSDT")
    quiet.pass_time(2 * 3600)
    assert quiet.verdicts == []


def test_a_lively_market_with_pauses_of_all_lengths_is_no_verdict(random: Random) -> None:
    quiet = Quiet("BTCUSDT", "ETHUSDT", "SOLUSDT")
    for _ in range(3000):
        symbol = random.choice(quiet.symbols)
        happening = random.choice((quiet.move, quiet.trade, quiet.flicker))
        happening(symbol)
        quiet.pass_time(random.choice((0.1, 0.1, 0.3, 1.1, 2.9, 7.0)))
    assert quiet.verdicts == []


def test_level_1_is_dead_after_five_seconds_without_a_repeat(quiet: Quiet) -> None:
    died(quiet, "orderbook.1")
    begun_s = quiet.symbols[0].repeated_s
    quiet.pass_time(KNOWN_S_MAX)
    assert quiet.dead == ["orderbook.1.BTCUSDT"]
    at_s, verdict = quiet.verdicts[0]
    assert 5.0 - 1e-6 <= at_s - begun_s <= KNOWN_S_MAX
    assert "repeats an unchanged level 1 every 3 s" in verdict.detail


def test_level_1_is_not_judged_before_a_repeat_was_seen() -> None:
    quiet = Quiet("BTCUSDT")
    died(quiet, "orderbook.1")
    quiet.pass_time(600)
    assert quiet.verdicts == []


def test_a_duplicate_that_follows_at_once_is_no_repeat() -> None:
    quiet = Quiet("BTCUSDT")
    symbol = quiet.symbols[0]
    quiet.move(symbol)
    frame = quiet._book(symbol, 1, "snapshot", symbol.update_ids[1])
    for _ in range(3):
        quiet.dispatcher.feed(frame, quiet.clock.now().wall_ns)
        quiet.pass_time(0.6)
        symbol.repeated_s = quiet.now_s
    assert not quiet.liveness.is_armed


@pytest.mark.parametrize("kind", ["orderbook.50", "orderbook.200"])
def test_a_deeper_book_is_dead_when_level_1_went_on(quiet: Quiet, kind: str) -> None:
    died(quiet, kind)
    quiet.pass_time(60)
    assert quiet.verdicts == []
    begun_s = quiet.now_s
    quiet.move(quiet.symbols[0])
    quiet.pass_time(KNOWN_S_MAX)
    assert quiet.dead == [f"{kind}.BTCUSDT"]
    assert quiet.verdicts[0][0] - begun_s <= KNOWN_S_MAX


def test_a_busy_book_that_dies_is_known_in_time(quiet: Quiet) -> None:
    symbol = quiet.symbols[0]
    for _ in range(20):
        quiet.move(symbol)
        quiet.pass_time(0.1)
    died(quiet, "orderbook.50")
    begun_s = quiet.now_s
    while not quiet.verdicts and quiet.now_s < begun_s + 10:
        quiet.move(symbol)
        quiet.pass_time(0.1)
    assert set(quiet.dead) == {"orderbook.50.BTCUSDT"}
    assert quiet.verdicts[0][0] - begun_s <= KNOWN_S_MAX


def test_prices_that_come_and_go_between_two_messages_of_a_deeper_book_prove_nothing(quiet: Quiet) -> None:
    symbol = quiet.symbols[0]
    for _ in range(200):
        symbol.dead |= {"orderbook.50", "orderbook.200", "tickers"}
        quiet.move(symbol)
        quiet.sample()
        quiet.move(symbol, -1)
        # What came and went is in no message of theirs, not even as a number.
        for depth in (50, 200):
            symbol.update_ids[depth] -= 2
        symbol.dead.clear()
        quiet.pass_time(2.9)
    assert quiet.verdicts == []


@pytest.mark.parametrize("pause_s", [0.1, 0.4, 0.7, 1.3, 2.9, 9.0])
@pytest.mark.parametrize(
    ("kind", "happening"),
    [("publicTrade", "trade"), ("tickers", "trade"), ("tickers", "move"), ("orderbook.200", "move")],
)
def test_death_is_known_within_six_seconds_of_the_first_message_missed(
    kind: str, happening: str, pause_s: float, random: Random
) -> None:
    quiet = Quiet("BTCUSDT")
    quiet.pass_time(4 + random.randrange(10) / 10)
    happens = getattr(quiet, happening)
    for _ in range(10):
        happens(quiet.symbols[0])
        quiet.pass_time(pause_s)
    died(quiet, kind)
    begun_s = quiet.now_s
    while not quiet.verdicts and quiet.now_s < begun_s + 20:
        happens(quiet.symbols[0])
        quiet.pass_time(pause_s)
    assert set(quiet.dead) == {f"{kind}.BTCUSDT"}
    assert quiet.verdicts[0][0] - begun_s <= KNOWN_S_MAX


def test_trades_are_dead_when_the_volume_of_the_ticker_grew(quiet: Quiet) -> None:
    symbol = quiet.symbols[0]
    quiet.trade(symbol)
    quiet.pass_time(30)
    died(quiet, "publicTrade")
    begun_s = quiet.now_s
    quiet.trade(symbol)
    quiet.pass_time(KNOWN_S_MAX)
    assert quiet.dead == ["publicTrade.BTCUSDT"]
    assert quiet.verdicts[0][0] - begun_s <= KNOWN_S_MAX


def test_a_volume_that_falls_as_a_day_passes_proves_nothing(quiet: Quiet) -> None:
    symbol = quiet.symbols[0]
    quiet.trade(symbol)
    died(quiet, "publicTrade")
    symbol.volume -= 5
    quiet.pass_time(10)
    quiet.start(symbol)
    quiet.pass_time(20)
    assert quiet.verdicts == []


@pytest.mark.parametrize("happening", ["move", "trade"])
def test_a_ticker_is_dead_when_the_market_went_on(quiet: Quiet, happening: str) -> None:
    died(quiet, "tickers")
    quiet.pass_time(30)
    begun_s = quiet.now_s
    getattr(quiet, happening)(quiet.symbols[0])
    quiet.pass_time(KNOWN_S_MAX)
    assert quiet.dead == ["tickers.BTCUSDT"]
    assert quiet.verdicts[0][0] - begun_s <= KNOWN_S_MAX


def test_a_venue_that_stops_repeating_is_believed_after_one_wrong_verdict(quiet: Quiet) -> None:
    quiet.pass_time(10)
    quiet.repeats = False
    quiet.pass_time(KNOWN_S_MAX)
    assert set(quiet.dead) == {f"orderbook.1.{symbol.name}" for symbol in quiet.symbols}
    wrong = len(quiet.verdicts)
    for symbol in quiet.symbols:
        quiet.start(symbol)
    quiet.pass_time(60)
    assert len(quiet.verdicts) == wrong
    assert not quiet.liveness.is_armed
    quiet.repeats = True
    quiet.pass_time(10)
    assert quiet.liveness.is_armed


def test_trades_from_before_they_were_judged_prove_nothing(quiet: Quiet) -> None:
    symbol = quiet.symbols[0]
    quiet.liveness.watch([topic for topic in symbol.topics() if not topic.startswith("publicTrade")])
    quiet.trade(symbol)
    quiet.pass_time(10)
    quiet.liveness.watch(symbol.topics())
    quiet.pass_time(30)
    assert quiet.verdicts == []


def test_klines_are_dead_when_trades_go_on_for_more_than_a_minute(quiet: Quiet) -> None:
    quiet.trade(quiet.symbols[0])
    died(quiet, "kline.1")
    begun_s = quiet.now_s
    for _ in range(70):
        quiet.trade(quiet.symbols[0])
        quiet.pass_time(1)
    assert quiet.dead == ["kline.1.BTCUSDT"]
    assert 65 - 1e-6 <= quiet.verdicts[0][0] - begun_s <= 66


def test_options_and_the_rest_have_no_proof() -> None:
    for category, topic in (
        ("option", "orderbook.25.BTC-25DEC26-90000-C"),
        ("linear", "allLiquidation.BTCUSDT"),
    ):
        liveness = Liveness(category, Dispatcher(category, Listener()))
        liveness.watch([topic])
        assert all(not liveness.tick(second * NS_PER_S) for second in range(100))
        assert liveness.proofs() == {topic: UNPROVEN}


def test_what_would_prove_each_topic_dead_can_be_read(quiet: Quiet) -> None:
    assert UNPROVEN not in quiet.liveness.proofs().values()
    quiet.liveness.watch(["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "orderbook.1.ETHUSDT"])
    proofs = quiet.liveness.proofs()
    assert proofs["orderbook.50.BTCUSDT"] == proofs["publicTrade.BTCUSDT"] == UNPROVEN
    assert proofs["orderbook.1.ETHUSDT"] != UNPROVEN


def test_a_process_that_was_stopped_holds_it_against_nobody(quiet: Quiet) -> None:
    symbol = quiet.symbols[0]
    quiet.move(symbol)
    quiet.clock.advance(30)
    quiet.sample()
    quiet.sample()
    quiet.pass_time(60)
    assert quiet.verdicts == []


def test_a_wall_clock_that_jumps_changes_nothing(quiet: Quiet) -> None:
    for seconds in (3600, -7200, 3600):
        quiet.clock.step_wall(seconds)
        quiet.pass_time(20)
        quiet.move(quiet.symbols[0])
        quiet.trade(quiet.symbols[0])
        quiet.pass_time(20)
    assert quiet.verdicts == []
    died(quiet, "orderbook.1")
    quiet.clock.step_wall(-3600)
    quiet.pass_time(6)
    assert quiet.dead == ["orderbook.1.BTCUSDT"]


def test_a_topic_in_a_gap_is_not_judged_again(quiet: Quiet) -> None:
    died(quiet, "orderbook.1")
    quiet.pass_time(6)
    now_ns = quiet.clock.now().wall_ns
    quiet.dispatcher.lost(["orderbook.1.BTCUSDT"], now_ns, now_ns, "stalled", "venue")
    quiet.pass_time(60)
    assert len(quiet.verdicts) == 1


def test_a_topic_that_revives_and_dies_again_is_judged_again(quiet: Quiet) -> None:
    symbol = quiet.symbols[0]
    for _ in range(3):
        died(quiet, "orderbook.1")
        quiet.pass_time(6)
        symbol.dead.clear()
        quiet.pass_time(6)
    assert quiet.dead == ["orderbook.1.BTCUSDT"] * 3


def test_samples_stand_close_enough_to_know_in_time() -> None:
    assert 5 + SAMPLE_S <= KNOWN_S_MAX


def two_legs() -> tuple[Dispatcher, Liveness]:
    dispatcher = Dispatcher("linear", Listener())
    for leg in (0, 1):
        dispatcher.desired([BOOK], START_NS, leg)
        dispatcher.feed(book_frame("BTCUSDT", "snapshot", 10, [("1", "1")], [("2", "1")]), START_NS, leg)
    return dispatcher, Liveness("linear", dispatcher)


BOOK = "orderbook.50.BTCUSDT"


def test_a_leg_is_dead_when_another_leg_of_the_same_book_went_on() -> None:
    dispatcher, liveness = two_legs()
    verdicts = {}
    for half_s in range(24):
        update_id = 11 + half_s
        delta = book_frame("BTCUSDT", "delta", update_id, [("1", str(update_id))])
        dispatcher.feed(delta, START_NS + half_s * S // 2, 0)
        if half_s < 4:
            dispatcher.feed(delta, START_NS + half_s * S // 2, 1)
        for verdict in liveness.tick(half_s * NS_PER_S // 2):
            verdicts[half_s / 2] = verdict
    assert list(verdicts) == [7.0]
    assert (verdicts[7.0].topic, verdicts[7.0].leg) == (BOOK, 1)
    assert "another leg went on" in verdicts[7.0].detail


def test_a_leg_that_is_late_but_comes_is_not_dead() -> None:
    dispatcher, liveness = two_legs()
    frames = [book_frame("BTCUSDT", "delta", 11 + at, [("1", str(2 + at))]) for at in range(60)]
    for half_s in range(60):
        dispatcher.feed(frames[half_s], START_NS + half_s * S // 2, 0)
        if half_s >= 8:
            dispatcher.feed(frames[half_s - 8], START_NS + half_s * S // 2, 1)
        assert liveness.tick(half_s * NS_PER_S // 2) == []
