"""Several listeners behind one: each is called as if it were alone."""

import pytest

import engine
from tests.support.venue import delta, snapshot
from tests.support.watch import Watch

BOOK = "orderbook.50.BTCUSDT"


def test_each_is_called_and_one_that_raises_harms_no_other() -> None:
    class Raising(engine.Listener):
        def on_book(self, book: engine.OrderBook) -> None:
            raise ZeroDivisionError

    first, last = Watch(), Watch()
    dispatcher = engine.Dispatcher("linear", engine.Fanout(first, Raising(), engine.Listener(), last))
    dispatcher.feed(snapshot(BOOK, 1).encode(), 1)
    dispatcher.feed(delta(BOOK, 5).encode(), 2)
    dispatcher.connected(0, 3)
    for watch in (first, last):
        assert watch.books == [(BOOK, 1)]
        assert watch.opened(BOOK) == ["sequence"]
        assert len(watch.said("connected")) == 1
    assert dispatcher.counters["callback_failures"] == 1


def test_listeners_come_and_go_between_two_calls() -> None:
    class Leaving(Watch):
        def on_book(self, book: engine.OrderBook) -> None:
            super().on_book(book)
            fanout.remove(self)
            fanout.add(late)

    leaving, staying, late = Leaving(), Watch(), Watch()
    fanout = engine.Fanout(leaving, staying)
    dispatcher = engine.Dispatcher("linear", fanout)
    dispatcher.feed(snapshot(BOOK, 1).encode(), 1)
    dispatcher.feed(delta(BOOK, 2).encode(), 2)
    assert [[u for _, u in watch.books] for watch in (leaving, staying, late)] == [[1], [1, 2], [2]]
    fanout.remove(leaving)
    assert fanout.listeners == (staying, late)


def test_every_callback_of_a_listener_is_passed_on() -> None:
    callbacks = {name for name in dir(engine.Listener) if name.startswith("on_")}
    assert callbacks <= set(vars(engine.Fanout))
    everything = type(
        "Everything", (engine.Listener,), dict.fromkeys(callbacks, lambda self, item: told.append(item))
    )
    told: list[object] = []
    fanout = engine.Fanout(everything())
    for name in sorted(callbacks):
        getattr(fanout, name)(name)
    assert told == sorted(callbacks)


def test_what_is_no_listener_is_refused() -> None:
    with pytest.raises(engine.ConfigError, match=r"must be an engine\.Listener"):
        engine.Fanout(print)  # type: ignore[arg-type]  # the mistake under test
