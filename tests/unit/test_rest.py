"""The REST client against answers of every kind of badness, and pages to the end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

import engine
from engine.bybit import rest as rest_module
from engine.bybit.instruments import parse
from engine.bybit.rest import RestClient
from tests.support.loops import run

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LINEAR = {
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "status": "Trading",
    "launchTime": "1584230400000",
    "deliveryTime": "0",
    "priceFilter": {"tickSize": "0.10"},
    "lotSizeFilter": {"qtyStep": "0.001"},
}
SPOT = LINEAR | {"lotSizeFilter": {"basePrecision": "0.000001"}}


async def asked(handler: Handler, ask: Callable[[RestClient], Awaitable[Any]], timeout_s: float = 5) -> Any:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with RestClient(url=f"http://127.0.0.1:{port}", timeout_s=timeout_s) as rest:
            return await ask(rest)
    finally:
        await runner.cleanup()


def answering(text: str, status: int = 200) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    return answer


def test_instruments_are_asked_for_page_by_page_with_the_cursor_as_it_came() -> None:
    queries: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        queries.append(request.rel_url.raw_query_string)
        page = len(queries)
        cursor = f"page_token%3D{page}%26" if page < 3 else ""
        one = LINEAR | {"symbol": f"COIN{page}USDT"}
        return web.json_response(
            {"retCode": 0, "retMsg": "OK", "result": {"list": [one], "nextPageCursor": cursor}}
        )

    found = run(asked(answer, lambda rest: rest.instruments("linear")))
    assert [instrument.symbol for instrument in found] == ["COIN1USDT", "COIN2USDT", "COIN3USDT"]
    assert queries == [
        "category=linear&limit=1000",
        "category=linear&limit=1000&cursor=page_token%3D1%26",
        "category=linear&limit=1000&cursor=page_token%3D2%26",
    ]


def test_pages_without_an_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_module, "PAGES_MAX", 3)
    endless = '{"retCode":0,"result":{"list":[],"nextPageCursor":"again"}}'
    with pytest.raises(engine.AnswerError, match="more than 3 pages"):
        run(asked(answering(endless), lambda rest: rest.instruments("linear")))


@pytest.mark.parametrize(
    ("text", "status", "error", "message"),
    [
        ("", 500, engine.HttpStatusError, "was 500, expected 200"),
        ("", 403, engine.HttpStatusError, "wait ten minutes"),
        ("", 302, engine.HttpStatusError, "was 302"),
        (
            '{"retCode":10001,"retMsg":"params error"}',
            200,
            engine.RetCodeError,
            r"retCode 10001 \('params error'\)",
        ),
        ("<html>", 200, engine.AnswerError, "was not understood"),
        ("[]", 200, engine.AnswerError, "was not understood"),
        ("{}", 200, engine.AnswerError, "was not understood"),
        ('{"retCode":0,"result":null}', 200, engine.AnswerError, "result must be an object"),
        ('{"retCode":0,"result":{}}', 200, engine.AnswerError, "list must be an array"),
        ('{"retCode":0,"result":{"list":[{"symbol":"X"}]}}', 200, engine.AnswerError, "linear X: KeyError"),
    ],
)
def test_a_bad_answer_is_an_error_of_its_kind(
    text: str, status: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(asked(answering(text, status), lambda rest: rest.instruments("linear")))


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_module, "ANSWER_BYTES_MAX", 1000)
    with pytest.raises(engine.AnswerError, match="longer than 1000 bytes"):
        run(asked(answering("x" * 100_000), lambda rest: rest.tickers("linear")))


def test_silence_is_a_timeout() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    with pytest.raises(engine.ConnectError, match="timeout") as caught:
        run(asked(hang, lambda rest: rest.time_ns(), timeout_s=0.1))
    assert caught.value.reason == "timeout"


def test_nobody_there_is_refused_and_names_the_way_without_a_network() -> None:
    async def main() -> None:
        async with RestClient(url="http://127.0.0.1:1") as rest:
            await rest.time_ns()

    with pytest.raises(engine.ConnectError, match="tapehead demo") as caught:
        run(main())
    assert caught.value.reason == "refused"


def test_a_client_that_was_not_opened_says_how_to() -> None:
    with pytest.raises(engine.InternalError, match="async with"):
        run(RestClient(url="http://127.0.0.1:1").time_ns())


@pytest.mark.parametrize(
    ("category", "raw", "scales"),
    [
        ("linear", LINEAR, (1, 3)),
        ("spot", SPOT, (1, 6)),
        ("linear", LINEAR | {"priceFilter": {"tickSize": "10"}, "lotSizeFilter": {"qtyStep": "100"}}, (0, 0)),
        ("spread", LINEAR | {"tickSize": "0.5", "lotSize": "0.01"}, (1, 2)),
    ],
)
def test_scales_are_the_decimals_of_tick_and_step(
    category: str, raw: dict[str, Any], scales: tuple[int, int]
) -> None:
    instrument = parse(category, raw)
    assert (instrument.price_scale, instrument.size_scale) == scales


@pytest.mark.parametrize("tick", ["", "abc", "NaN", None])
def test_a_tick_that_is_no_number_is_an_error_with_the_symbol(tick: object) -> None:
    with pytest.raises(engine.AnswerError, match="linear BTCUSDT"):
        parse("linear", LINEAR | {"priceFilter": {"tickSize": tick}})
