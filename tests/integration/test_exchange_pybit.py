"""pybit trades on the simulator's exchange, unmodified but for the host: by HTTP and by sockets."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.simulator_process import SimulatorProcess, simulated

KEY, SECRET = "pybit-key", "pybit-secret"
MARKET = ("--symbols", "linear:BTCUSDT,spot:BTCUSDT", "--rate", "50", "--account", f"{KEY}:{SECRET}:100000")
TIMEOUT_S = 60
LATE_MS = 300
"""pybit loses an answer that comes before it has noted, after sending, whom to tell."""

HEAD = """
import json, sys, threading, time
from pybit import _websocket_trading, unified_trading
from pybit.exceptions import InvalidRequestError
ws, rest, key, secret = sys.argv[1:]
unified_trading.PRIVATE_WSS = ws + "/v5/private"
_websocket_trading.TRADE_WSS = ws + "/v5/trade"
keys = {"api_key": key, "api_secret": secret, "testnet": True}
if secret.startswith("@"):
    keys |= {"api_secret": open(secret[1:]).read(), "rsa_authentication": True}
http = unified_trading.HTTP(**keys)
http.endpoint = rest
keys["private_auth_expire"] = 10
here = {"category": "linear", "symbol": "BTCUSDT"}
last = float(http.get_tickers(**here)["result"]["list"][0]["lastPrice"])
low, high = (str(round(last * share, 1)) for share in (0.97, 1.03))
limit = {**here, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": low}
heard, changed = [], threading.Condition()
def take(message):
    with changed:
        heard.extend((message["topic"], row) for row in message["data"])
        changed.notify_all()
def wait(found):
    with changed:
        assert changed.wait_for(lambda: any(found(*one) for one in heard), 20), heard
"""

BY_HTTP = """
seen = {}
seen["key"] = http.get_api_key_information()["result"]["readOnly"]
socket = unified_trading.WebSocket(channel_type="private", **keys)
for subscribe in (socket.order_stream, socket.execution_stream, socket.position_stream, socket.wallet_stream):
    subscribe(take)
socket.fast_execution_stream(take)
http.place_order(**limit, orderLinkId="probe-0")  # until the subscriptions are there
for n in range(100):
    if {"order", "wallet"} <= {topic for topic, _ in heard}: break
    http.amend_order(**here, orderLinkId="probe-0", qty=str((n % 2 + 2) / 100)); time.sleep(0.2)
http.place_order(**limit, orderLinkId="one")
http.amend_order(**here, orderLinkId="one", qty="0.02")
seen["amended"] = http.get_open_orders(**here, orderLinkId="one")["result"]["list"][0]["qty"]
http.cancel_order(**here, orderLinkId="one")
wait(lambda topic, row: topic == "order" and (row["orderLinkId"], row["orderStatus"]) == ("one", "Cancelled"))
http.place_order(**here, side="Buy", orderType="Market", qty="0.01", takeProfit=high, stopLoss=low)
for name in ("execution", "execution.fast"):
    wait(lambda topic, row, name=name: topic == name and row["execQty"] == "0.01")
wait(lambda topic, row: topic == "position" and row["size"] == "0.01")
stops = {row["stopOrderType"] for row in http.get_open_orders(**here)["result"]["list"]}
seen["stops"] = sorted(stops - {"UNKNOWN"})
http.set_trading_stop(**here, tpslMode="Full", positionIdx=0, trailingStop="1000")
position = http.get_positions(**here)["result"]["list"][0]
seen["position"] = [position[name] for name in ("side", "size", "trailingStop")]
seen["protected"] = position["takeProfit"] == high
http.place_order(**limit, triggerPrice=low, triggerDirection=2, orderLinkId="stop")
seen["conditional"] = http.get_open_orders(**here, orderLinkId="stop")["result"]["list"][0]["orderStatus"]
item = {name: value for name, value in limit.items() if name != "category"}
items = [{**item, "orderLinkId": "b-1"}, {**item, "qty": "0.0001"}]
batch = http.place_batch_order(category="linear", request=items)
seen["batch"] = [one["code"] for one in batch["retExtInfo"]["list"]]
b1 = {"symbol": "BTCUSDT", "orderLinkId": "b-1"}
http.amend_batch_order(category="linear", request=[{**b1, "qty": "0.03"}])
http.cancel_batch_order(category="linear", request=[b1])
http.set_leverage(**here, buyLeverage="5", sellLeverage="5")
seen["cancelled"] = len(http.cancel_all_orders(**here)["result"]["list"])
http.place_order(**here, side="Sell", orderType="Market", qty="0.01", reduceOnly=True)
seen["pnl"] = len(http.get_closed_pnl(**here)["result"]["list"])
seen["history"] = http.get_order_history(**here, orderLinkId="b-1")["result"]["list"][0]["qty"]
seen["executions"] = [row["side"] for row in http.get_executions(**here)["result"]["list"]]
http.place_order(category="spot", symbol="BTCUSDT", side="Buy", orderType="Market", qty="500")
balance = http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
seen["coins"] = sorted(row["coin"] for row in balance["coin"])
seen["fee"] = http.get_fee_rates(category="linear")["result"]["list"][0]["takerFeeRate"]
try:
    http.place_order(**{**limit, "qty": "100"})
except InvalidRequestError as error:
    seen["refused"] = error.status_code
socket.exit()
print(json.dumps(seen))
"""

BY_SOCKET = """
answers, done = {}, threading.Condition()
def answer(name):
    def on(message):
        with done:
            answers[name] = message
            done.notify_all()
    return on
def said(name):
    with done:
        assert done.wait_for(lambda: name in answers, 20), name
    return answers[name]
socket = unified_trading.WebSocketTrading(**keys)
until = time.monotonic() + 20
while not socket.auth and time.monotonic() < until: time.sleep(0.02)
socket.place_order(answer("place"), **limit, orderLinkId="one")
placed = said("place")
socket.amend_order(answer("amend"), **here, orderLinkId="one", qty="0.02"); said("amend")
amended = http.get_open_orders(**here)["result"]["list"][0]["qty"]
socket.cancel_order(answer("cancel"), **here, orderLinkId="one"); said("cancel")
item = {name: value for name, value in limit.items() if name != "category"}
socket.place_batch_order(answer("batch"), category="linear", request=[item, {**item, "price": "1.001"}])
batch = said("batch")
socket.cancel_order(answer("never"), answer("refused"), **here, orderLinkId="one")
print(json.dumps({
    "placed": placed["data"]["orderLinkId"], "limit": placed["header"]["X-Bapi-Limit"], "amended": amended,
    "batch": [one["code"] for one in batch["retExtInfo"]["list"]], "refused": said("refused")["retCode"],
}))
socket.exit()
"""


async def arm(simulator: SimulatorProcess, fault: dict[str, Any]) -> None:
    url = f"{simulator.rest}/simulator/exchange/faults"
    async with aiohttp.ClientSession() as http, http.post(url, json=[fault]) as answer:
        assert answer.status == 200


async def ask(simulator: SimulatorProcess, program: str, secret: str = SECRET) -> dict[str, Any]:
    """Run a program in a process of its own (pybit's threads are its own affair); return what it prints."""
    arguments = (simulator.ws, simulator.rest, KEY, secret)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HEAD + program, *arguments, stdout=PIPE, stderr=PIPE
    )
    try:
        out, errors = await asyncio.wait_for(child.communicate(), TIMEOUT_S)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, errors.decode()[-3000:]
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def test_pybit_trades_by_http_and_hears_of_it(tmp_path: Path) -> None:
    log = tmp_path / "exchange.log"

    async def run() -> dict[str, Any]:
        async with simulated(*MARKET, "--exchange-log", str(log)) as simulator:
            return await ask(simulator, BY_HTTP)

    assert asyncio.run(run()) == {
        "key": 0,
        "amended": "0.02",
        "stops": ["StopLoss", "TakeProfit"],
        "position": ["Buy", "0.01", "1000"],
        "protected": True,
        "conditional": "Untriggered",
        "batch": [0, 10001],
        "cancelled": 5,
        "pnl": 1,
        "history": "0.03",
        "executions": ["Sell", "Buy"],
        "coins": ["BTC", "USDT"],
        "fee": "0.00055",
        "refused": 110007,
    }
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["side"] for line in lines if line["what"] == "fill"][:2] == ["Buy", "Sell"]


def key_pair(folder: Path) -> tuple[Path, Path]:
    """Write a new RSA pair; return the files of the private and the public half."""
    private = generate_private_key(65_537, 2048)
    files = folder / "private.pem", folder / "public.pem"
    files[0].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files[1].write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return files


@pytest.mark.parametrize("kind", ["hmac", "rsa"])
def test_pybit_trades_by_socket(kind: str, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path) if kind == "rsa" else (None, None)
    account = f"{KEY}:{f'@{public}' if public else SECRET}:100000"

    async def run() -> dict[str, Any]:
        async with simulated(*MARKET[:-1], account) as simulator:
            await arm(simulator, {"fault": "fill_before_ack", "late_ms": LATE_MS, "times": 0})
            return await ask(simulator, BY_SOCKET, f"@{private}" if private else SECRET)

    assert asyncio.run(run()) == {
        "placed": "one",
        "limit": "10",
        "amended": "0.02",
        "batch": [0, 10001],
        "refused": 110001,
    }


def test_the_control_endpoints_are_served_and_a_ban_is_http_403() -> None:
    async def run() -> list[int]:
        async with simulated(*MARKET) as simulator, aiohttp.ClientSession(simulator.rest) as http:
            statuses = []
            for method, path, body in (
                ("POST", "/simulator/exchange/faults", [{"fault": "ack_lost"}]),
                ("POST", "/simulator/exchange/faults", [{"fault": "none"}]),
                ("DELETE", "/simulator/exchange/faults", None),
                ("GET", "/simulator/exchange/log", None),
                ("GET", "/v5/market/time", None),
                ("GET", "/v5/order/realtime", {}),
                ("POST", "/v5/order/create", {}),
                ("POST", "/simulator/exchange/ban", {}),
                ("GET", "/v5/market/time", None),
            ):
                async with http.request(method, path, json=body) as answer:
                    statuses.append(answer.status)
            return statuses

    assert asyncio.run(run()) == [200, 400, 200, 200, 200, 403, 200, 200, 403]


@pytest.mark.parametrize(
    "options", [("--account", "k"), ("--account", "k:s:5", "--playback", "x"), ("--account", "k:s:5:fast")]
)
def test_wrong_accounts_are_one_line(options: tuple[str, ...], tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    capture.write_text('{"topic":"orderbook.1.BTCUSDT","ts":1,"type":"snapshot","data":{"s":"BTCUSDT"}}\n')
    arguments = [str(capture) if one == "x" else one for one in options]

    async def run() -> tuple[int | None, bytes]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulator", *arguments, stderr=PIPE
        )
        _, errors = await child.communicate()
        return child.returncode, errors

    code, errors = asyncio.run(run())
    assert (code, errors.count(b"\n")) == (2, 1)
