"""The REST client against answers of every kind of badness, and pages to the end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

import engine
from engine.bybit import http as http_module
from engine.bybit import rest as rest_module
from engine.bybit.instruments import parse
from engine.bybit.pacer import Pacer
from engine.bybit.rest import RestClient
from engine.clock import ManualClock
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


async def asked(
    handler: Handler,
    ask: Callable[[RestClient], Awaitable[Any]],
    timeout_s: float = 5,
    retries: int = 0,
    **options: Any,
) -> Any:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        options |= {"timeout_s": timeout_s, "retries": retries, "retry_delay_s": 0.001}
        async with RestClient(url=f"http://127.0.0.1:{port}", **options) as rest:
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
    monkeypatch.setattr(http_module, "PAGES_MAX", 3)
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
    monkeypatch.setattr(http_module, "ANSWER_BYTES_MAX", 1000)
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
        async with RestClient(url="http://127.0.0.1:1", retries=0) as rest:
            await rest.time_ns()

    with pytest.raises(engine.ConnectError, match="tapehead demo") as caught:
        run(main())
    assert caught.value.reason == "refused"


def test_a_client_that_was_not_opened_says_how_to() -> None:
    with pytest.raises(engine.InternalError, match="async with"):
        run(RestClient(url="http://127.0.0.1:1").time_ns())


def scripted(*answers: tuple[int, str]) -> tuple[Handler, list[str]]:
    """Answers in turn, the last one for ever; and the paths with queries that were asked."""
    asked_for: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        status, text = answers[min(len(asked_for), len(answers) - 1)]
        asked_for.append(request.rel_url.path_qs)
        return web.Response(text=text, status=status)

    return answer, asked_for


GOOD = '{"retCode":0,"result":{"list":[]}}'


@pytest.mark.parametrize(
    "first", [(500, ""), (503, ""), (429, ""), (200, '{"retCode":10006}'), (200, '{"retCode":10016}')]
)
def test_what_may_pass_is_asked_again(first: tuple[int, str]) -> None:
    handler, asked_for = scripted(first, first, (200, GOOD))
    answer = run(asked(handler, lambda rest: rest.tickers("linear"), retries=2))
    assert answer.result == {"list": []}
    assert len(asked_for) == 3


@pytest.mark.parametrize("answer", [(404, ""), (200, '{"retCode":10001}'), (200, "<html>")])
def test_what_will_not_pass_is_asked_once(answer: tuple[int, str]) -> None:
    handler, asked_for = scripted(answer)
    with pytest.raises(engine.PeerError):
        run(asked(handler, lambda rest: rest.tickers("linear"), retries=5))
    assert len(asked_for) == 1


def test_repetitions_end() -> None:
    handler, asked_for = scripted((500, ""))
    with pytest.raises(engine.HttpStatusError, match="try again later"):
        run(asked(handler, lambda rest: rest.tickers("linear"), retries=2))
    assert len(asked_for) == 3


def test_a_refused_address_is_silent_for_ten_minutes() -> None:
    handler, asked_for = scripted((403, ""), (200, GOOD))
    clock = ManualClock()

    async def ask(rest: RestClient) -> None:
        with pytest.raises(engine.HttpStatusError, match="wait ten minutes"):
            await rest.tickers("linear")
        for minutes, rest_s in ((0, 600), (9.5, 30)):
            clock.advance(minutes * 60)
            with pytest.raises(engine.HttpStatusError, match=f"for another {rest_s} s"):
                await rest.tickers("linear")
        assert len(asked_for) == 1
        clock.advance(31)
        await rest.tickers("linear")

    run(asked(handler, ask, retries=5, clock=clock))


def test_a_burst_is_spread_over_the_windows_of_the_allowance() -> None:
    pacer = Pacer(requests_max=3, window_s=5)
    assert [pacer.reserve_s(0) for _ in range(7)] == [0, 0, 0, 5, 5, 5, 10]


def test_the_waiting_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "WAITING_MAX", 0)
    with pytest.raises(engine.UsageError, match="ask for less at a time"):
        run(asked(answering(GOOD), lambda rest: rest.tickers("linear")))


def test_candles_are_read_page_by_page_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_module, "KLINES_PER_PAGE", 2)
    pages = [
        f'{{"retCode":0,"result":{{"list":{rows}}}}}'
        for rows in ('[["9"],["8"]]', '[["7"],["6"]]', '[["5"]]')
    ]
    handler, asked_for = scripted(*((200, page) for page in pages))

    async def ask(rest: RestClient) -> list[str]:
        found = rest.klines("linear", "BTCUSDT", "1", start_ms=5, end_ms=9)
        return [row[0] async for page in found for row in page.result["list"]]

    assert run(asked(handler, ask)) == ["9", "8", "7", "6", "5"]
    start = "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&limit=2&start=5&end="
    assert asked_for == [start + end for end in ("9", "7", "5")]


@pytest.mark.parametrize(
    ("ask", "path"),
    [
        (
            lambda rest: rest.full_orderbook("spot", "AUSDT"),
            "/v5/market/full_orderbook?category=spot&symbol=AUSDT",
        ),
        (
            lambda rest: rest.rpi_orderbook("linear", "AUSDT"),
            "/v5/market/rpi_orderbook?category=linear&symbol=AUSDT&limit=50",
        ),
        (lambda rest: rest.orderbook("spread", "A_B/C"), "/v5/spread/orderbook?symbol=A_B/C&limit=25"),
        (
            lambda rest: rest.orderbook("option", "A-C"),
            "/v5/market/orderbook?category=option&symbol=A-C&limit=25",
        ),
        (
            lambda rest: rest.recent_trades("spot", "AUSDT"),
            "/v5/market/recent-trade?category=spot&symbol=AUSDT&limit=60",
        ),
        (
            lambda rest: rest.recent_trades("option", "BTC"),
            "/v5/market/recent-trade?category=option&baseCoin=BTC&limit=1000",
        ),
        (lambda rest: rest.system_status(), "/v5/system/status"),
    ],
)
def test_each_endpoint_is_asked_as_the_venue_documents(
    ask: Callable[[RestClient], Awaitable[Any]], path: str
) -> None:
    handler, asked_for = scripted((200, GOOD))
    run(asked(handler, ask))
    assert asked_for == [path]


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
