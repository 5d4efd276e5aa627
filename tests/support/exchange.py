"""The simulator's exchange in memory, and a client that signs: for tests, in virtual time."""

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import orjson

from simulator.exchange.accounts import Account
from simulator.exchange.engine import Engine
from simulator.exchange.journal import Journal
from simulator.exchange.markets import Level, Market
from simulator.exchange.orders import Order
from simulator.instruments import listing, listings
from simulator.memory import MemoryConnection, MemoryVenue

KEY, SECRET = "k3yEXAMPLE0001", "s3cretEXAMPLE0001"
LINEAR, SPOT, INVERSE = "linear:BTCUSDT", "spot:BTCUSDT", "inverse:BTCUSD"


class StillQuotes:
    """Prices that stand still until a test moves them: 100 a side at every whole dollar around 1,000."""

    def __init__(self) -> None:
        self.price = Decimal(1000)
        self.asks: list[Level] = [(Decimal(1001 + n), Decimal(100)) for n in range(5)]
        self.bids: list[Level] = [(Decimal(999 - n), Decimal(100)) for n in range(5)]

    def last(self) -> Decimal:
        return self.price

    mark = index = last

    def band(self) -> tuple[Decimal, Decimal]:
        return self.price * Decimal("1.05"), self.price * Decimal("0.95")

    def levels(self, asks: bool) -> list[Level]:
        return self.asks if asks else self.bids

    def best(self, asks: bool) -> Decimal:
        return self.levels(asks)[0][0]

    def seq(self) -> int:
        return 7


class Floor:
    """An engine on still markets, with the frames that the accounts were sent."""

    def __init__(self, *symbols: str) -> None:
        self.now_ms = 1_790_000_000_000
        self.quotes: dict[tuple[str, str], StillQuotes] = {}
        self.markets: dict[tuple[str, str], Market] = {}
        for text in symbols or (LINEAR,):
            instrument = listing(text).instrument
            key = (instrument.category, instrument.symbol)
            self.quotes[key] = StillQuotes()
            self.markets[key] = Market(instrument, self.quotes[key])
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.engine = Engine(
            lambda category, symbol: self.markets.get((category, symbol)),
            self._publish,
            lambda market: None,
            Journal(),
            lambda: self.now_ms,
        )

    def _publish(self, account: Account, topic: str, category: str, rows: list[dict[str, Any]]) -> None:
        self.sent += [(topic, category, row) for row in rows]

    def account(self, name: str = "k", **balances: str) -> Account:
        """Open an account."""
        found = {coin: Decimal(amount) for coin, amount in (balances or {"USDT": "1000000"}).items()}
        return self.engine.accounts.open(name, "s", found)

    def order(self, account: Account, side: str = "Buy", qty: str = "1", **fields: Any) -> Order:
        """Create and place an order: a market order where it has no price."""
        category = fields.pop("category", "linear")
        body = {
            "symbol": next(symbol for one, symbol in self.markets if one == category),
            "side": side,
            "qty": qty,
            "orderType": "Limit" if "price" in fields else "Market",
            **fields,
        }
        order = self.engine.accept(account, category, body)
        self.engine.place(order)
        self.engine.outbox.send()
        return order

    def move(self, price: int, category: str = "linear") -> None:
        """Let the price, and the levels around it, be another."""
        key = next(one for one in self.markets if one[0] == category)
        quotes = self.quotes[key]
        quotes.price = Decimal(price)
        quotes.asks = [(Decimal(price + 1 + n), Decimal(100)) for n in range(5)]
        quotes.bids = [(Decimal(price - 1 - n), Decimal(100)) for n in range(5)]
        self.engine.moved(self.markets[key], [])

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """Return the rows that a topic was sent."""
        return [row for one, _, row in self.sent if one == topic]


class Trader:
    """A client of an exchange in memory, which signs what it sends."""

    def __init__(
        self, symbols: str = LINEAR, *, key: str = KEY, secret: str = SECRET, **options: Any
    ) -> None:
        self.venue = MemoryVenue(listings(symbols), trades=True, lap_steps=120, **options)
        assert self.venue.exchange is not None
        self.exchange = self.venue.exchange
        self.key, self.secret = key, secret
        self.account = self.exchange.engine.accounts.open(key, secret, {"USDT": Decimal(1_000_000)})
        self._requests = 0

    @property
    def now_ms(self) -> int:
        return self.venue.now_ns // 1_000_000

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.venue.advance(self.venue.now_ns + ms * 1_000_000)

    def sign(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def headers(self, payload: str, at_ms: int = 0, window_ms: int = 5_000) -> dict[str, str]:
        """Return the headers of a signed request."""
        timestamp = str(at_ms or self.now_ms)
        return {
            "X-BAPI-API-KEY": self.key,
            "X-BAPI-TIMESTAMP": timestamp,
            "X-BAPI-RECV-WINDOW": str(window_ms),
            "X-BAPI-SIGN": self.sign(f"{timestamp}{self.key}{window_ms}{payload}"),
        }

    def send(self, path: str, **body: Any) -> list[Any]:
        """POST; the list has the answer when it has come."""
        text = json.dumps(body)
        return self.venue.signed("POST", path, self.headers(text), text.encode())

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """POST and return the envelope of the answer, which comes at once."""
        (reply,) = self.send(path, **body)
        found: dict[str, Any] = orjson.loads(reply.body)
        return found

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """GET and return the envelope."""
        text = urlencode(query)
        (reply,) = self.venue.signed("GET", f"{path}?{text}", self.headers(text))
        found: dict[str, Any] = orjson.loads(reply.body)
        return found

    def place(self, link_id: str = "", **body: Any) -> dict[str, Any]:
        """Place a limit order to buy far below the market, unless told otherwise."""
        order = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "85000"}
        return self.post(
            "/v5/order/create", **{"category": "linear", "orderLinkId": link_id, **order, **body}
        )

    def found(self, link_id: str) -> list[str]:
        """Return the states that open orders, history and executions show an order in."""
        asked = {"category": "linear", "orderLinkId": link_id}
        rows = self.get("/v5/order/realtime", **asked)["result"]["list"]
        rows += self.get("/v5/order/history", **asked)["result"]["list"]
        states = [row["orderStatus"] for row in rows]
        fills = self.get("/v5/execution/list", **asked)["result"]["list"]
        return states + [row["execType"] for row in fills]

    def socket(self, path: str, authed: bool = True) -> MemoryConnection:
        """Open /v5/private or /v5/trade."""
        found = self.venue.connect(path)
        assert isinstance(found, MemoryConnection)
        if authed:
            expires = self.now_ms + 5_000
            args = [self.key, expires, self.sign(f"GET/realtime{expires}")]
            found.send(orjson.dumps({"op": "auth", "args": args}))
            assert b"auth" in messages(found)[0]
        return found

    def stream(self, *topics: str) -> MemoryConnection:
        """Open a private connection with some topics."""
        found = self.socket("/v5/private")
        found.send(orjson.dumps({"op": "subscribe", "args": topics}))
        assert orjson.loads(messages(found)[0])["success"]
        return found

    def enter(self, socket: MemoryConnection, op: str, *args: Any, **more: Any) -> None:
        """Send a request on an order-entry connection."""
        self._requests += 1
        header = {"X-BAPI-TIMESTAMP": str(self.now_ms)}
        request = {"reqId": f"r-{self._requests}", "header": header, "op": op, "args": args, **more}
        socket.send(orjson.dumps(request))


def messages(connection: MemoryConnection) -> list[bytes]:
    """Return the texts that have arrived, and forget them."""
    return [item for _, item in connection.take() if isinstance(item, bytes)]


def frames(connection: MemoryConnection) -> list[dict[str, Any]]:
    """Return the messages that have arrived, and forget them."""
    return [orjson.loads(one) for one in messages(connection)]
