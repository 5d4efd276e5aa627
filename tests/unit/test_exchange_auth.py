"""Who may ask the exchange, and how often."""

import base64
from decimal import Decimal
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulator.errors import SimulatorError
from simulator.exchange.accounts import Account, Accounts, Key
from simulator.exchange.auth import signed_by
from tests.support.exchange import SECRET, Trader, frames, messages

BALANCE = "/v5/account/wallet-balance"


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        (
            "1700000000000k3yEXAMPLE00015000category=linear&symbol=BTCUSDT",
            "aa113eac876620248379fde8aefd7453c9309019e90f40cfbb65d6d60f754a91",
        ),
        (
            '1700000000000k3yEXAMPLE00015000{"category":"linear","symbol":"BTCUSDT","side":"Buy",'
            '"orderType":"Limit","qty":"0.001","price":"50000","timeInForce":"PostOnly"}',
            "e7d00df23a56eb4a72b1aab2e3311b0b76d13c8b879f4481e1b5351f586fd4aa",
        ),
        (
            "GET/realtime1700000010000",
            "72d38b6d2dbd0daf039f6f4889885006574e960acf752c755e7d878e2b6ae410",
        ),
    ],
)
def test_the_vectors_of_the_protocol_are_signatures(text: str, signature: str) -> None:
    key = Key("k3yEXAMPLE0001", SECRET, Account(1))
    assert signed_by(key, text.encode(), signature)
    assert not signed_by(key, text.encode() + b" ", signature)
    assert SECRET not in repr(key)


def test_an_rsa_key_is_known_by_its_public_half() -> None:
    private = generate_private_key(65_537, 2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = Key("rsa", public, Account(1))
    signature = base64.b64encode(private.sign(b"text", PKCS1v15(), SHA256())).decode()
    assert signed_by(key, b"text", signature)
    assert not signed_by(key, b"other", signature)
    assert not signed_by(key, b"text", "no base64")


@pytest.fixture(scope="module")
def trader() -> Trader:
    return Trader()


def ask(trader: Trader, headers: dict[str, str], query: str = "accountType=UNIFIED") -> dict[str, Any]:
    (reply,) = trader.venue.signed("GET", f"{BALANCE}?{query}", headers)
    found: dict[str, Any] = orjson.loads(reply.body)
    return found


@pytest.mark.parametrize(
    ("ahead_ms", "window_ms", "code"),
    [(0, 5_000, 0), (-5_000, 5_000, 0), (-5_001, 5_000, 10002), (999, 1, 0), (1_000, 60_000, 10002)],
)
def test_a_timestamp_is_taken_within_the_window(
    trader: Trader, ahead_ms: int, window_ms: int, code: int
) -> None:
    headers = trader.headers("accountType=UNIFIED", trader.now_ms + ahead_ms, window_ms)
    answer = ask(trader, headers)
    assert answer["retCode"] == code
    assert code == 0 or f"server_timestamp[{trader.now_ms}]" in answer["retMsg"]


def test_what_is_signed_is_what_was_sent(trader: Trader) -> None:
    headers = trader.headers("accountType=UNIFIED")
    assert ask(trader, headers, "accountType=UNIFIED&coin=USDT")["retCode"] == 10004
    assert ask(trader, {**headers, "X-BAPI-API-KEY": "other"})["retCode"] == 10003
    assert ask(trader, {})["retCode"] == 10003
    assert ask(trader, {**headers, "X-BAPI-TIMESTAMP": "soon"})["retCode"] == 10001


def test_a_key_may_be_read_only_expired_or_bound_elsewhere() -> None:
    trader = Trader()
    key = trader.exchange.engine.accounts.keys[trader.key]
    key.read_only = True
    assert trader.place()["retCode"] == 10005
    told = trader.get("/v5/user/query-api")["result"]
    assert (told["readOnly"], told["ips"], told["expiredAt"]) == (1, ["*"], "")
    key.ips = ("10.0.0.1",)
    assert trader.get(BALANCE, accountType="UNIFIED")["retCode"] == 10010
    key.ips, key.expires_ms = (), trader.now_ms
    assert trader.get(BALANCE, accountType="UNIFIED")["retCode"] == 33004


def test_a_get_with_a_body_is_forbidden(trader: Trader) -> None:
    (reply,) = trader.venue.signed("GET", BALANCE, trader.headers(""), b"{}")
    assert reply.status == 403


def test_accounts_are_opened_by_text() -> None:
    accounts = Accounts()
    one = accounts.open_text("k:s:USDT=5,BTC=1:withdraw,ip=10.0.0.1,limit=200")
    two = accounts.open_text(f"k2:s2:7:uid={one.uid},read_only,expires_ms=9")
    assert two is one
    assert one.balances == {"USDT": Decimal(5), "BTC": Decimal(1)}
    assert "Withdraw" in accounts.keys["k"].permissions()["Wallet"]
    assert (accounts.keys["k2"].read_only, accounts.keys["k2"].expires_ms) == (True, 9)
    for text in ("k", "k::5", "k3:s:many", "k3:s:-1", "k3:s:5:fast", "k:s:5", "k3:@missing.pem:5"):
        with pytest.raises(SimulatorError):
            accounts.open_text(text)


def test_a_bucket_is_empty_until_its_second_is_over() -> None:
    trader = Trader()
    replies = [
        trader.send("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId="x")[0]
        for _ in range(11)
    ]
    codes = [orjson.loads(one.body)["retCode"] for one in replies]
    assert codes == [110001] * 10 + [10006]
    assert [one.headers["X-Bapi-Limit-Status"] for one in replies[8:]] == ["1", "0", "0"]
    assert int(replies[-1].headers["X-Bapi-Limit-Reset-Timestamp"]) == trader.now_ms + 1_000
    trader.wait(999)
    assert (
        trader.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId="x")["retCode"] == 10006
    )
    trader.wait(1)
    assert (
        trader.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId="x")["retCode"] == 110001
    )


def test_a_batch_takes_a_unit_an_order_and_the_excess_fails_alone() -> None:
    trader = Trader()
    item = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "85000"}
    answer = trader.post("/v5/order/create-batch", category="linear", request=[item] * 12)
    codes = [one["code"] for one in answer["retExtInfo"]["list"]]
    assert answer["retCode"] == 0
    assert codes == [0] * 10 + [10006] * 2
    assert [one["orderId"] == "" for one in answer["result"]["list"]] == [False] * 10 + [True] * 2
    assert trader.place()["retCode"] == 0


def test_sockets_want_their_auth_first() -> None:
    trader = Trader()
    private, trade = trader.socket("/v5/private", authed=False), trader.socket("/v5/trade", authed=False)
    private.send(b'{"op":"subscribe","args":["order"]}')
    assert frames(private)[0]["ret_msg"] == "Request not authorized"
    trader.enter(trade, "order.create", {"category": "linear"})
    assert frames(trade)[0]["retCode"] == 10007
    late = trader.now_ms
    for socket in (private, trade):
        args = [trader.key, late, trader.sign(f"GET/realtime{late}")]
        socket.send(orjson.dumps({"op": "auth", "args": args}))
    assert frames(private)[0]["success"] is False
    assert frames(trade)[0]["retCode"] == 10004
    authed = trader.socket("/v5/trade")
    expires = trader.now_ms + 9_000
    args = [trader.key, expires, trader.sign(f"GET/realtime{expires}")]
    authed.send(orjson.dumps({"op": "auth", "args": args}))
    assert frames(authed)[0]["retCode"] == 20001


def test_pongs_are_those_of_their_paths() -> None:
    trader = Trader()
    private, trade = trader.socket("/v5/private", authed=False), trader.socket("/v5/trade", authed=False)
    for socket in (private, trade):
        socket.send(b'{"op":"ping","req_id":"hb1"}')
    assert frames(private)[0]["req_id"] == "hb1"
    (pong,) = messages(trade)
    assert orjson.loads(pong)["op"] == "pong"
    assert orjson.loads(pong)["data"] == [str(trader.now_ms)]
