"""Requests that stand ready: their limits, and the numbers of their orders."""

import pytest

from engine.errors import ConfigError
from engine.orders.ids import Intents
from engine.orders.prepared import order_frames
from ext.order_frame import LinkIds, OrderFrame, Slot


def test_a_number_is_given_once_whoever_asks() -> None:
    intents = Intents("bot1", 100)
    given = [intents.next(), intents.numbers.text(intents.numbers.take()), intents.next()]
    assert given == ["bot1-2s-1", "bot1-2s-2", "bot1-2s-3"]


@pytest.mark.parametrize("number", [-1, 36**7])
def test_numbers_that_cannot_be_have_no_text(number: int) -> None:
    with pytest.raises(ValueError, match="number was"):
        LinkIds("bot1-1-").text(number)


@pytest.mark.parametrize("prefix", ["", "é-", "x" * 29])
def test_a_prefix_leaves_room_for_a_number(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix was"):
        LinkIds(prefix)


def test_a_request_refuses_negative_numbers_and_too_much_text() -> None:
    with pytest.raises(ValueError, match="qty was -1"):
        OrderFrame([(b"a", Slot.SLOT_QTY), (b"", Slot.SLOT_END)], 0, 0).text(request=1, stamp_ms=1, qty=-1)
    with pytest.raises(ValueError, match="2048"):
        OrderFrame([(b"a" * 2025, Slot.SLOT_END)], 0, 0)
    with pytest.raises(ValueError, match="qty_scale was 19"):
        OrderFrame([(b"a", Slot.SLOT_END)], 19, 0)
    with pytest.raises(ValueError, match="SLOT_END"):
        OrderFrame([(b"a", Slot.SLOT_QTY)], 0, 0)
    with pytest.raises(ValueError, match="pieces"):
        OrderFrame([(b"", Slot.SLOT_QTY)] * 17, 0, 0)


@pytest.mark.parametrize("value", ['Buy"', "<qty>", "a b", "é", "x" * 65])
def test_fields_cannot_change_the_request(value: str) -> None:
    with pytest.raises(ConfigError, match="side"):
        order_frames(
            "linear",
            "BTCUSDT",
            {"side": value},
            prefix="bot1-1-",
            qty_scale=3,
            price_scale=1,
            recv_window_ms=2000,
        )
