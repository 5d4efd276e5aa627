"""Who is compared by `tick_to_order`: each answers a book frame with an order to buy at the best bid."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import pybit._websocket_trading
import pybit.unified_trading
from picows import WSListener, WSTransport, ws_connect

from benchmarks.native.quoter import Echo, Quoter
from benchmarks.native.transport import Counter
from benchmarks.peers.tapehead import subscribed
from benchmarks.receivers.tapehead import Owner
from benchmarks.stream import CATEGORY, START_TICK, START_TS_MS, SYMBOL
from engine.bybit.instruments import Instrument
from engine.orders.ids import Intents
from engine.orders.prepared import order_frames, ticket
from ext.book import OrderBook
from ext.frames import FrameListener
from ext.guard import RateWindow, SymbolLimits
from ext.journal import RecordKind
from ext.listener import Listener
from ext.ticket import OrderGate, Ticket
from recorder.spool.writer import Spool

DEPTH: Final = 50
QTY: Final = 10
QTY_TEXT: Final = "0.010"
FIELDS: Final = {"side": "Buy", "orderType": "Limit", "timeInForce": "PostOnly"}
RECV_WINDOW_MS: Final = 2_000
ORDERS_PER_S: Final = 10_000
FOREVER_NS: Final = 1 << 62
LAG_MAX_MS: Final = 600_000  # a round takes longer than the time that its frames are apart
PYBIT_PING_S: Final = 3_600  # none while it is measured
INSTRUMENT: Final = Instrument(
    category=CATEGORY,
    symbol=SYMBOL,
    base_coin="BTC",
    quote_coin="USDT",
    settle_coin="USDT",
    contract_type="LinearPerpetual",
    status="Trading",
    phase="",
    price_tick="0.10",
    size_step="0.001",
    price_scale=2,
    size_scale=3,
    min_price="0.10",
    max_price="1999999.80",
    min_size="0.001",
    max_size="1000",
    min_notional="5",
    launch_ms=0,
    delivery_ms=0,
    raw={},
)


class Trader:
    """Connects twice: `/NAME/v5/public/linear` brings frames, `/NAME/v5/trade` takes orders."""

    name = ""
    title = ""

    async def start(self, port: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Give up what was opened beside the connections."""

    async def connect(self, port: int, path: str, listener: WSListener) -> WSTransport:
        transport, _ = await ws_connect(lambda: listener, f"ws://127.0.0.1:{port}/{self.name}/v5/{path}")
        return transport


class BareEcho(Trader):
    name = "echo"
    title = "bare picows echo of as many bytes"

    async def start(self, port: int) -> None:
        create, _, _ = order_frames(
            CATEGORY,
            SYMBOL,
            FIELDS,
            prefix=Intents("bench", 1).numbers.prefix,
            qty_scale=INSTRUMENT.size_scale,
            price_scale=INSTRUMENT.price_scale,
            recv_window_ms=RECV_WINDOW_MS,
        )
        reply = create.text(request=1000, order=1000, qty=QTY, price=START_TICK * 10, stamp_ms=START_TS_MS)
        orders = await self.connect(port, "trade", Counter())
        await self.connect(port, "public/linear", Echo(orders, reply))


class Tapehead(Trader):
    """Ours with every guard on, its audit record and the client's own work after each order."""

    name = "cython"
    title = "tapehead, Cython listener"

    async def start(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        gate = OrderGate(Intents("bench", 1).numbers, lambda: loop.call_soon(gate.drain))
        gate.connect(await self.connect(port, "trade", Counter()))
        now_ns, mono_ns = time.time_ns(), time.monotonic_ns()
        # The stream is dated: its time stands for now.
        gate.set_clock(now_ns - mono_ns, now_ns - START_TS_MS * 1_000_000, FOREVER_NS)
        self.folder = tempfile.TemporaryDirectory(prefix="benchmark-audit-")
        self.spool = Spool(
            Path(self.folder.name) / "spool", "benchmark", now=lambda: (time.time_ns(), time.monotonic_ns())
        )
        gate.audit_into(self.spool.journal, RecordKind.NOTED)
        limits = SymbolLimits(
            price_scale=INSTRUMENT.price_scale,
            size_scale=INSTRUMENT.size_scale,
            tick=10,
            step=1,
            min_price=10,
            max_price=199_999_980,
            min_qty=1,
            max_qty=1_000_000,
            min_notional=500_000,
            max_notional=10**15,
            lag_ms_max=LAG_MAX_MS,
            band_high=199_999_980,
            buy_room=10**12,
            orders_room=10**9,
        )
        rate = RateWindow(ORDERS_PER_S)
        made = ticket(
            gate,
            limits,
            INSTRUMENT,
            FIELDS,
            rates=(rate, rate, rate),
            recv_window_ms=RECV_WINDOW_MS,
        )
        dispatcher = subscribed(self.strategy(made), DEPTH)
        await self.connect(port, "public/linear", FrameListener(dispatcher, Owner()))

    def strategy(self, made: Ticket) -> Listener:
        return Quoter(made, QTY)

    def close(self) -> None:
        self.spool.close()
        self.folder.cleanup()


class PythonQuoter(Listener):
    """The same strategy in Python."""

    def __init__(self, made: Ticket) -> None:
        self.made = made

    def on_book(self, book: OrderBook) -> None:
        if self.made.limits.book is not book:
            self.made.limits.follow(book)
        bid = book.best_bid
        if bid is not None:
            self.made.send(QTY, bid[0])


class TapeheadPython(Tapehead):
    name = "python"
    title = "tapehead, Python listener"

    def strategy(self, made: Ticket) -> Listener:
        return PythonQuoter(made)


class Pybit(Trader):
    """pybit's two websockets; its HTTP is slower, as it waits for an answer before it returns."""

    name = "pybit"
    title = "pybit WebSocket + WebSocketTrading"

    async def start(self, port: int) -> None:
        url = f"ws://127.0.0.1:{port}/{self.name}/v5/"
        pybit._websocket_trading.TRADE_WSS = f"{url}trade"
        pybit.unified_trading.PUBLIC_WSS = f"{url}public/{{CHANNEL_TYPE}}"
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        self.trading = pybit.unified_trading.WebSocketTrading(
            testnet=True,
            api_key="key",
            api_secret="secret",
            recv_window=RECV_WINDOW_MS,
            ping_interval=PYBIT_PING_S,
        )
        self.public = pybit.unified_trading.WebSocket(
            channel_type="linear", testnet=True, ping_interval=PYBIT_PING_S
        )
        self.public.orderbook_stream(DEPTH, SYMBOL, self.on_book)

    def on_book(self, message: dict[str, Any]) -> None:
        # Its book is not sorted.
        price = max(message["data"]["b"], key=lambda level: float(level[0]))[0]
        self.trading.place_order(
            self.on_ack, category=CATEGORY, symbol=SYMBOL, qty=QTY_TEXT, price=price, **FIELDS
        )

    def on_ack(self, message: dict[str, Any]) -> None:
        """The order was accepted."""

    def close(self) -> None:
        self.public.exit()
        self.trading.exit()


TRADERS: Final = {one.name: one for one in (BareEcho, Tapehead, TapeheadPython, Pybit)}
