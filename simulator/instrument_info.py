"""What REST says of an instrument: the objects of /v5/market/instruments-info and /v5/spread/instrument."""

from typing import Any

from simulator.instruments import LAUNCH_MS, Instrument
from simulator.numbers import decimal_text

RISK = {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"}


def info(one: Instrument) -> dict[str, Any]:
    """Return the object of an instrument, in the keys of its category."""
    return {"spot": _spot, "option": _option, "spread": _spread}.get(one.category, _contract)(one)


def _tick(one: Instrument) -> str:
    return decimal_text(one.tick, one.price_decimals, trim=one.category == "spot")


def _step(one: Instrument) -> str:
    return decimal_text(one.step, one.size_decimals, trim=True)


def _symbol_id(one: Instrument) -> int:
    return sum(ord(char) * int(31**place) for place, char in enumerate(one.symbol)) % 1_000_000


def _spot(one: Instrument) -> dict[str, Any]:
    base, quote = one.coins()
    large, larger = one.short_size(10_000_000), one.short_size(50_000_000)
    return {
        "symbol": one.symbol,
        "baseCoin": base,
        "quoteCoin": quote,
        "innovation": "0",
        "status": one.status,
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": _step(one),
            "quotePrecision": decimal_text(1, one.price_decimals + one.size_decimals),
            "minOrderQty": _step(one),
            "maxOrderQty": large,
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": larger,
            "maxMarketOrderQty": large,
            "postOnlyMaxLimitOrderSize": larger,
        },
        "priceFilter": {"tickSize": _tick(one)},
        "riskParameters": RISK,
        "symbolType": "",
        "symbolId": _symbol_id(one),
    }


def _contract(one: Instrument) -> dict[str, Any]:
    base, quote = one.coins()
    delivery_ms = one.delivery_ms()
    larger = one.short_size(50_000_000)
    return {
        "symbol": one.symbol,
        "contractType": one.category.capitalize() + ("Futures" if delivery_ms else "Perpetual"),
        "status": one.status,
        "baseCoin": base,
        "quoteCoin": quote,
        "launchTime": str(LAUNCH_MS),
        "deliveryTime": str(delivery_ms),
        "deliveryFeeRate": "0.0005" if delivery_ms else "",
        "priceScale": str(one.price_decimals),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": _tick(one),
            "maxPrice": decimal_text(one.tick * 19_999_980, one.price_decimals),
            "tickSize": _tick(one),
        },
        "lotSizeFilter": {
            "maxOrderQty": larger,
            "minOrderQty": _step(one),
            "qtyStep": _step(one),
            "postOnlyMaxOrderQty": larger,
            "maxMktOrderQty": one.short_size(10_000_000),
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 0 if delivery_ms else 480,
        "settleCoin": one.settle_coin(),
        "copyTrading": "none",
        "upperFundingRate": "" if delivery_ms else "0.005",
        "lowerFundingRate": "" if delivery_ms else "-0.005",
        "isPreListing": one.status == "PreLaunch",
        "preListingInfo": None,
        "riskParameters": RISK,
        "symbolType": "",
        "symbolId": _symbol_id(one),
    }


def _option(one: Instrument) -> dict[str, Any]:
    base, quote = one.coins()
    return {
        "symbol": one.symbol,
        "status": one.status,
        "baseCoin": base,
        "quoteCoin": quote,
        "settleCoin": quote,
        "optionsType": "Put" if "-P" in one.symbol else "Call",
        "launchTime": str(LAUNCH_MS),
        "deliveryTime": str(one.delivery_ms()),
        "deliveryFeeRate": "0.00015",
        "priceFilter": {
            "minPrice": _tick(one),
            "maxPrice": decimal_text(one.tick * 2_000_000, one.price_decimals),
            "tickSize": _tick(one),
        },
        "lotSizeFilter": {
            "maxOrderQty": one.short_size(50_000),
            "minOrderQty": _step(one),
            "qtyStep": _step(one),
        },
        "displayName": one.symbol,
    }


def _spread(one: Instrument) -> dict[str, Any]:
    base, quote = one.coins()
    legs = [
        {"symbol": leg.replace("/", ""), "contractType": kind}
        for leg, kind in zip(one.symbol.split("_"), ("LinearPerpetual", "Spot"), strict=False)
    ]
    return {
        "symbol": one.symbol,
        "contractType": "FundingRateArb",
        "status": one.status,
        "baseCoin": base,
        "quoteCoin": quote,
        "settleCoin": quote,
        "tickSize": _tick(one),
        "minPrice": decimal_text(-one.tick * 1_000_000, one.price_decimals),
        "maxPrice": decimal_text(one.tick * 1_000_000, one.price_decimals),
        "lotSize": _step(one),
        "minSize": _step(one),
        "maxSize": one.short_size(50_000),
        "launchTime": str(LAUNCH_MS),
        "deliveryTime": "0",
        "legs": legs,
    }
