"""Signed REST: what is signed is what is sent; allowances; the venue's clock; a POST is made once."""

import json
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pybit import _http_manager

import engine
from engine.bybit.credentials import Credentials
from engine.bybit.http import Http, is_surely_refused
from engine.clock import ManualClock
from tests.support.loops import run
from tests.support.venue_rest import Answer, Answering, Asked, Venue, served

KEY, SECRET = "k3yEXAMPLE0001", "s3cretEXAMPLE0001"
LETTERS = "abcXYZ0189-_.%&+ /:|é"


def ask(venue: Venue, what: Callable[[Http], Awaitable[Any]], secret: str = SECRET, **options: Any) -> Any:
    async def main() -> Any:
        async with (
            served(venue),
            Http(
                "testnet",
                url=venue.url,
                credentials=Credentials("testnet", KEY, secret),
                retry_delay_s=0.001,
                **options,
            ) as http,
        ):
            return await what(http)

    return run(main())


def test_what_is_signed_is_what_is_sent_and_what_pybit_signs() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    requests = [{f"f{index}": _text(chance) for index in range(chance.randrange(1, 8))} for _ in range(200)]
    venue = Venue()

    async def send(http: Http) -> None:
        for index, fields in enumerate(requests):
            if index % 2:
                await http.get("/v5/order/realtime", dict(sorted(fields.items())), signed=True)
            else:
                await http.post("/v5/order/create", fields, queue_s=1e6, recv_window_ms=1 + index)
            http.buckets = type(http.buckets)()  # the allowance is another test's matter

    ask(venue, send, pacer=_no_pacer())
    peer = _http_manager._V5HTTPManager(api_key=KEY, api_secret=SECRET)
    signed = [one for one in venue.asked if "X-BAPI-SIGN" in one.headers]
    assert len(signed) == 200
    for asked in signed:
        window, stamp = asked.headers["X-BAPI-RECV-WINDOW"], asked.headers["X-BAPI-TIMESTAMP"]
        assert asked.headers["X-BAPI-SIGN"] == peer._auth(asked.payload, window, stamp)
        assert asked.headers["X-BAPI-API-KEY"] == KEY
    for asked, fields in zip(signed, requests, strict=True):
        if asked.method == "POST":
            assert json.loads(asked.payload) == fields
            assert asked.headers["Content-Type"] == "application/json"


def _text(chance: random.Random) -> str:
    return "".join(chance.choice(LETTERS) for _ in range(chance.randrange(1, 12)))


def _no_pacer() -> Any:
    from engine.bybit.pacer import Pacer

    return Pacer(requests_max=100_000)


def test_plain_parameters_are_written_as_pybit_writes_them() -> None:
    venue = Venue()
    fields = {"category": "linear", "limit": "50", "symbol": "BTCUSDT"}
    ask(venue, lambda http: http.get("/v5/order/realtime", fields, signed=True))
    theirs = _http_manager._V5HTTPManager.prepare_payload("GET", dict(fields))
    assert venue.asked[-1].payload == theirs == "category=linear&limit=50&symbol=BTCUSDT"


def test_an_rsa_key_signs_as_pybit_signs() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    venue = Venue()
    ask(venue, lambda http: http.post("/v5/order/create", {"qty": "1"}), secret=pem)
    peer = _http_manager._V5HTTPManager(api_key=KEY, api_secret=pem, rsa_authentication=True)
    asked = venue.asked[-1]
    assert asked.headers["X-BAPI-SIGN"] == peer._auth(
        asked.payload, "5000", asked.headers["X-BAPI-TIMESTAMP"]
    )


def test_a_cursor_goes_back_and_is_signed_as_it_came() -> None:
    def answer(asked: Asked) -> Answer:
        more = "" if "cursor" in asked.payload else "page_token%3D39380%26"
        return Answer(result={"list": [len(venue.asked)], "nextPageCursor": more})

    venue = Venue(answer)

    async def read(http: Http) -> int:
        return len([page async for page in http.pages("/v5/order/history", {"a": "1"}, signed=True)])

    assert ask(venue, read) == 2
    asked = venue.asked[-1]
    assert asked.payload == "a=1&cursor=page_token%3D39380%26"
    stamp = asked.headers["X-BAPI-TIMESTAMP"]
    wanted = Credentials("testnet", KEY, SECRET).sign(f"{stamp}{KEY}5000{asked.payload}")
    assert asked.headers["X-BAPI-SIGN"] == wanted


@pytest.mark.parametrize("ahead_s", [-2, 2, 3600])
def test_stamps_are_of_the_venues_clock_however_wrong_ours_is(ahead_s: float) -> None:
    venue = Venue(ahead_s=ahead_s)

    async def send(http: Http) -> float | None:
        await http.post("/v5/order/create", {})
        return http.clock_error_ms()

    error_ms = ask(venue, send)
    stamp = int(venue.asked[-1].headers["X-BAPI-TIMESTAMP"])
    assert venue.now_ms() - 1_000 <= stamp <= venue.now_ms()
    assert error_ms == pytest.approx(-ahead_s * 1_000, abs=200)


def refusing_once(code: int) -> Answering:
    answers = iter([Answer(code, "no"), Answer(result={"list": []})])
    return lambda asked: next(answers)


def test_a_wrong_time_measures_the_clock_anew_and_a_query_is_asked_again() -> None:
    venue = Venue(refusing_once(10002))
    ask(venue, lambda http: http.get("/v5/order/realtime", {}, signed=True), retries=0)
    assert [one.path for one in venue.asked].count("/v5/market/time") == 6
    assert venue.paths == ["/v5/order/realtime"] * 2


@pytest.mark.parametrize("code", [10000, 10002, 10006, 10016])
def test_a_post_is_made_once_whatever_the_answer(code: int) -> None:
    venue = Venue(refusing_once(code))
    with pytest.raises(engine.RetCodeError) as caught:
        ask(venue, lambda http: http.post("/v5/order/create", {}), retries=5)
    assert caught.value.ret_code == code
    assert venue.paths == ["/v5/order/create"]


def test_a_post_without_an_answer_is_made_once_and_left_open() -> None:
    venue = Venue(lambda asked: Answer(status=502))
    with pytest.raises(engine.HttpStatusError) as caught:
        ask(venue, lambda http: http.post("/v5/order/create", {}), retries=5)
    assert not is_surely_refused(caught.value)
    assert len(venue.paths) == 1


def test_too_many_visits_wait_for_the_reset() -> None:
    venue = Venue()

    def answer(asked: Asked) -> Answer:
        if len(venue.paths) > 1:
            return Answer()
        reset = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Reset-Timestamp": str(venue.now_ms() + 300)}
        return Answer(10006, "Too many visits!", headers=reset)

    venue.answer = answer
    times: list[int] = []

    async def send(http: Http) -> None:
        with pytest.raises(engine.RetCodeError, match="the next ones wait for the venue's reset"):
            await http.post("/v5/order/create", {"category": "linear"})
        times.append(venue.now_ms())
        await http.post("/v5/order/create", {"category": "linear"})
        times.append(venue.now_ms())

    ask(venue, send)
    assert times[1] - times[0] >= 250


def test_what_would_wait_too_long_for_its_allowance_is_not_sent() -> None:
    venue = Venue()

    async def send(http: Http) -> None:
        for _ in range(10):
            await http.post("/v5/order/create", {"category": "linear"})
        with pytest.raises(engine.NotSentError, match="for the venue's allowance: ask less often") as caught:
            await http.post("/v5/order/create", {"category": "linear"}, queue_s=0.01)
        assert is_surely_refused(caught.value)
        await http.post("/v5/order/create", {"category": "spot"}, queue_s=0.01)

    ask(venue, send)
    assert len(venue.paths) == 11


def test_a_batch_takes_an_allowance_for_each_order() -> None:
    venue = Venue()

    async def send(http: Http) -> None:
        body = {"category": "linear", "request": [{}] * 6}
        await http.post("/v5/order/create-batch", body)
        with pytest.raises(engine.NotSentError):
            await http.post("/v5/order/create-batch", body, queue_s=0.01)

    ask(venue, send)


def test_the_allowance_is_what_the_venue_says() -> None:
    venue = Venue(lambda asked: Answer(headers={"X-Bapi-Limit": "2"}))

    async def send(http: Http) -> None:
        for _ in range(2):
            await http.post("/v5/order/create", {})
        with pytest.raises(engine.NotSentError):
            await http.post("/v5/order/create", {}, queue_s=0.01)

    ask(venue, send)


def test_a_refused_address_stops_everything_for_ten_minutes() -> None:
    venue = Venue(lambda asked: Answer(status=403))

    async def send(http: Http) -> None:
        with pytest.raises(engine.HttpStatusError, match="wait ten minutes"):
            await http.post("/v5/order/create", {})
        for path in ("/v5/order/cancel-all", "/v5/order/create"):
            with pytest.raises(engine.HttpStatusError, match="nothing is asked for another") as caught:
                await http.post(path, {})
            assert is_surely_refused(caught.value)

    ask(venue, send)
    assert len(venue.paths) == 1


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (10003, "there is no such key in testnet: copy it again, or name the environment that made it"),
        (33004, r"the key has expired \(90 days without an IP binding\): make a new one"),
        (10004, "the secret does not belong to this key"),
        (10005, "the key lacks a permission"),
        (10010, "the key is bound to other addresses"),
        (10002, r"set this machine's clock \(NTP\)"),
    ],
)
def test_a_refusal_says_what_to_do(code: int, says: str) -> None:
    venue = Venue(lambda asked: Answer(code, "no"))
    with pytest.raises(engine.RetCodeError, match=says):
        ask(venue, lambda http: http.get("/v5/user/query-api", {}, signed=True))


def test_what_needs_a_key_says_so_without_one() -> None:
    venue = Venue()

    async def main() -> None:
        async with served(venue), Http("testnet", url=venue.url) as http:
            await http.get("/v5/order/realtime", {}, signed=True)

    with pytest.raises(engine.UsageError, match=re.escape("/v5/order/realtime needs a key")):
        run(main())
    assert venue.asked == []


def test_a_key_of_another_environment_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(engine.ConfigError, match="environment was 'mainnet'; the key is one of testnet"):
        Http("mainnet", credentials=Credentials("testnet", KEY, SECRET))


def test_a_window_beyond_the_venues_is_refused() -> None:
    with pytest.raises(engine.ConfigError, match="recv_window_ms was 60001"):
        Http("testnet", recv_window_ms=60_001)


def test_a_stamp_before_the_clock_is_known_is_not_made_up() -> None:
    with pytest.raises(engine.NotSentError, match="clock is not known"):
        Http("testnet", clock=ManualClock()).timestamp_ms()
