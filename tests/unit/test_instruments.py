"""Instruments: every category and status in one form, untrusted names set aside, what became other."""

from collections.abc import Mapping
from typing import Any

import pytest

import engine
from engine.bybit.instruments import STATUSES, changes, parse, read, sort_out
from engine.errors import RetCodeError
from tests.support.instruments import instrument, listing, raw_instrument
from tests.support.loops import run

HOSTILE = [
    "BTC'USDT",
    'BTC"USDT',
    "BTC; DROP TABLE trade",
    "../../etc/passwd",
    "A/../../B",
    "BTC\x00USDT",
    "BTC\u202eTDSU",
    "BTC\nUSDT",
    "\uff22TCUSDT",
    "btcusdt",
    "*",
    "",
    "A" * 10_240,
]


class Venue:
    """Answers from a table; keeps what it was asked."""

    def __init__(self, listed: Mapping[tuple[str, str], list[dict[str, Any]]], coins: object = None) -> None:
        self.listed = listed
        self.coins = coins
        self.asked: list[tuple[str, str]] = []
        self.error: Exception | None = None

    async def instrument_list(
        self, category: str, *, base_coin: str = "", status: str = ""
    ) -> list[Mapping[str, Any]]:
        self.asked.append((base_coin, status))
        if self.error is not None and status == "PreLaunch":
            raise self.error
        return list(self.listed.get((base_coin, status), ()))

    async def option_coins(self) -> list[str]:
        if isinstance(self.coins, list):
            return self.coins
        raise engine.HttpStatusError("/v5/market/option-base-coins", 404)


def entries(*symbols: str, status: str = "Trading") -> list[dict[str, Any]]:
    return [raw_instrument("linear", symbol, status=status) for symbol in symbols]


def test_every_status_is_asked_for_and_the_latest_word_on_a_symbol_counts() -> None:
    venue = Venue(
        {
            ("", "PreLaunch"): entries("NEWUSDT", status="PreLaunch"),
            ("", "Trading"): entries("BTCUSDT", "NEWUSDT"),  # launched while the pages were read
            ("", "Closed"): entries("OLDUSDT", status="Closed"),
        }
    )
    reading = run(read(venue, "linear"))
    assert venue.asked == [("", status) for status in STATUSES]
    assert {symbol: one.status for symbol, one in reading.instruments.items()} == {
        "NEWUSDT": "Trading",
        "BTCUSDT": "Trading",
        "OLDUSDT": "Closed",
    }
    assert reading.refused == ()


def test_options_are_read_coin_by_coin_and_the_venue_names_the_coins() -> None:
    venue = Venue({}, coins=["BTC", "XRP"])
    run(read(venue, "option", coins=["DOGE"]))
    live = STATUSES[:-1]
    assert venue.asked == [(coin, status) for coin in ("BTC", "DOGE", "XRP") for status in live]


def test_where_the_venue_does_not_name_the_coins_the_known_ones_are_asked_for() -> None:
    venue = Venue({})
    run(read(venue, "option"))
    assert {coin for coin, _ in venue.asked} == {"BTC", "ETH", "SOL"}


def test_spreads_are_listed_without_regard_to_status() -> None:
    spread = raw_instrument("spread", "SOLUSDT_SOL/USDT", status="Settling", contractType="FundingRateArb")
    venue = Venue({("", ""): [spread]})
    reading = run(read(venue, "spread"))
    (one,) = reading.instruments.values()
    assert (one.status, one.contract_type, one.size_step, one.max_size) == (
        "Settling",
        "FundingRateArb",
        "0.01",
        "100",
    )
    assert one.is_listed


def test_a_status_that_a_category_does_not_know_is_passed_over_but_no_other_error() -> None:
    venue = Venue({("", "Trading"): entries("BTCUSDT")})
    venue.error = RetCodeError("instruments-info", 10001, "status invalid")
    assert list(run(read(venue, "spot")).instruments) == []  # a linear entry is no spot instrument
    assert list(run(read(venue, "linear")).instruments) == ["BTCUSDT"]
    venue.error = RetCodeError("instruments-info", 10006, "too many visits")
    with pytest.raises(RetCodeError, match="10006"):
        run(read(venue, "linear"))


def test_all_fields_of_a_pre_listing() -> None:
    one = instrument(
        "linear",
        "NEWUSDT",
        status="PreLaunch",
        isPreListing=True,
        preListingInfo={"curAuctionPhase": "CallAuction", "phases": []},
        launchTime="1790000000000",
        deliveryTime="1800000000000",
        somethingNew={"x": 1},
    )
    assert (one.base_coin, one.quote_coin, one.settle_coin) == ("NEW", "USDT", "USDT")
    assert (one.contract_type, one.status, one.phase) == ("LinearPerpetual", "PreLaunch", "CallAuction")
    assert (one.price_tick, one.size_step, one.price_scale, one.size_scale) == ("0.10", "0.001", 1, 3)
    assert (one.min_price, one.max_price, one.max_size) == ("0.10", "1999999.80", "1500.000")
    assert (one.launch_ms, one.delivery_ms) == (1790000000000, 1800000000000)
    assert one.raw["somethingNew"] == {"x": 1}


def test_words_that_are_new_are_taken_as_they_are() -> None:
    one = instrument("linear", "BTCUSDT", status="Halted", contractType="LinearEverlasting")
    assert (one.status, one.contract_type, one.is_listed) == ("Halted", "LinearEverlasting", True)


@pytest.mark.parametrize("symbol", HOSTILE)
def test_a_name_that_cannot_be_one_is_set_aside_and_harms_no_other(symbol: str) -> None:
    reading = sort_out("linear", [raw_instrument("linear", symbol), *entries("BTCUSDT")])
    assert list(reading.instruments) == ["BTCUSDT"]
    (refused,) = reading.refused
    for text, size_max in ((refused.name, 400), (refused.reason, 200)):
        assert len(text) <= size_max
        assert text.isprintable()


@pytest.mark.parametrize(
    "fields",
    [
        {"symbol": None},
        {"symbol": 7},
        {"symbol": ["BTCUSDT"]},
        {"status": {"a": 1}},
        {"baseCoin": "x\x00y"},
        {"quoteCoin": "Q" * 65},
        {"priceFilter": []},
        {"priceFilter": {"tickSize": "0"}},
        {"priceFilter": {"tickSize": "-0.1"}},
        {"priceFilter": {"tickSize": "NaN"}},
        {"priceFilter": {"tickSize": "1_0"}},
        {"priceFilter": {"tickSize": "1e-400"}},
        {"priceFilter": {"tickSize": "0." + "0" * 18 + "1"}},
        {"priceFilter": {"tickSize": 0.1}},
        {"lotSizeFilter": {"qtyStep": "9" * 21}},
        {"extra": "x" * 70_000},
    ],
)
def test_an_entry_that_cannot_be_read_is_set_aside(fields: dict[str, Any]) -> None:
    reading = sort_out("linear", [raw_instrument("linear", "ETHUSDT", **fields), *entries("BTCUSDT")])
    assert list(reading.instruments) == ["BTCUSDT"]
    assert len(reading.refused) == 1


def test_limits_that_cannot_be_stored_are_absent_but_the_instrument_stays() -> None:
    one = instrument(
        "linear",
        "BTCUSDT",
        lotSizeFilter={"qtyStep": "0.001", "minOrderQty": "", "maxOrderQty": "1e999", "minNotionalValue": 5},
        launchTime="9" * 30,
        deliveryTime="²",
    )
    assert (one.min_size, one.max_size, one.min_notional) == (None, None, None)
    assert (one.launch_ms, one.delivery_ms) == (0, 0)


def test_what_came_went_and_changed() -> None:
    before = listing("linear", "AUSDT", "BUSDT", "CUSDT", "DUSDT", "EUSDT")
    after = listing("linear", "BUSDT", "EUSDT", "FUSDT")
    after["CUSDT"] = instrument("linear", "CUSDT", status="Closed")
    after["DUSDT"] = instrument("linear", "DUSDT", priceFilter={"tickSize": "0.05"})
    after["GUSDT"] = instrument("linear", "GUSDT", status="Closed")
    found = changes(before, after)
    assert [(change.kind, change.symbol) for change in found] == [
        ("delisted", "AUSDT"),
        ("delisted", "CUSDT"),
        ("instrument_changed", "DUSDT"),
        ("listed", "FUSDT"),
    ]
    dropped, closed, changed, listed = found
    assert (dropped.after, dropped.describe()) == (None, "not listed any more")
    assert closed.describe() == "status Closed"
    assert changed.fields["priceFilter.tickSize"] == ("0.10", "0.05")
    assert "priceFilter.tickSize '0.10' -> '0.05'" in changed.describe()
    assert (listed.before, listed.describe()) == (None, "status Trading")


def test_a_launch_is_a_change_and_a_relisting_a_listing() -> None:
    waiting, closed = (instrument("linear", "AUSDT", status=status) for status in ("PreLaunch", "Closed"))
    trading = instrument("linear", "AUSDT")
    (launch,) = changes({"AUSDT": waiting}, {"AUSDT": trading})
    assert (launch.kind, launch.fields) == ("instrument_changed", {"status": ("PreLaunch", "Trading")})
    (relisting,) = changes({"AUSDT": closed}, {"AUSDT": trading})
    assert relisting.kind == "listed"
    assert changes({"AUSDT": trading}, {"AUSDT": trading}) == []


def test_an_error_names_the_symbol() -> None:
    with pytest.raises(engine.AnswerError, match="linear BTCUSDT"):
        parse("linear", raw_instrument("linear", "BTCUSDT", priceFilter={}))
