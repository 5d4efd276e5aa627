"""The client of a trial: trades at random, notes what it wants and what it is told, and is killed anywhere.

``python -m tests.orders_chaos.worker JSON`` with the fields of `Job`. A line on its stdin ends it in order.
"""

import asyncio
import json
import random
import sys
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvloop

import engine
from engine.orders import Limits, LiveOrder, OrderClient, OrderEvent, OrderRefusedError, State

SYMBOL = ("linear", "BTCUSDT")
POSITION_MAX = Decimal("0.06")
OPEN_ORDERS_MAX = 8
LANES = 10
QUANTITIES = ("0.01", "0.02", "0.05")
QUIET_S = 2.5  # nothing new for so long: nothing is on its way any more
KEPT_AT_THE_END = 3


@dataclass
class Job:
    """What a worker is told."""

    ws: str
    rest: str
    folder: str
    seed: int
    life: int
    first_want: int
    wants: int


class Notes:
    """JSON lines, each handed to the system before what it announces is done."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self.count = 0

    def add(self, what: str, **fields: Any) -> None:
        self.count += 1
        self._file.write(json.dumps({"what": what, **fields}, default=str).encode() + b"\n")


class Told(engine.Listener):
    """Notes every state that an order is told to be in."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def on_order(self, event: OrderEvent) -> None:
        order = event.order
        self._notes.add("state", link=order.link_id, state=event.state, cause=event.cause)

    def on_execution(self, event: Any) -> None:
        self._notes.count += 1

    def on_position(self, event: Any) -> None:
        self._notes.count += 1


class Worker:
    """Lanes that each want one thing after another; a want whose order was surely not placed is sent anew."""

    def __init__(self, job: Job, orders: OrderClient, feed: engine.Feed, notes: Notes) -> None:
        self._job = job
        self._orders = orders
        self._feed = feed
        self._notes = notes
        self._dice = random.Random(f"{job.seed}:{job.life}")
        self._next = job.first_want

    async def run(self, stop: asyncio.Event) -> None:
        left = [order for order in self._orders.account.open_orders() if isinstance(order, LiveOrder)]
        async with asyncio.TaskGroup() as lanes:
            for order in left:
                lanes.create_task(self._close(order))
            for _ in range(LANES):
                lanes.create_task(self._lane())
        await stop.wait()
        await self._orders.cancel_ours()
        for share in range(KEPT_AT_THE_END):
            await self._place(
                -1 - share, {"order_type": "Limit", "price": self._price("Buy", 970 - share)}, "Buy"
            )
        await self._quiet()
        self._tell()

    async def _lane(self) -> None:
        while self._next < self._job.wants:
            want, self._next = self._next, self._next + 1
            self._notes.add("want", want=want)
            order = None
            while order is None or (order.state is State.NOT_PLACED and not order.ret_code):
                order = await self._place(want, *self._fields())
                if order is not None:
                    await self._close(order)

    def _fields(self) -> tuple[dict[str, Any], str]:
        side = self._dice.choice(("Buy", "Sell"))
        if self._dice.random() < 0.2:
            return {"order_type": "Market"}, side
        # Between a little through the other side and far behind: some fill at once, some later, some never.
        away = self._dice.choice((-1, 0, 0, 1, 5, 20))
        per_mille = 1_000 - away if side == "Buy" else 1_000 + away
        fields = {"order_type": "Limit", "price": self._price(side, per_mille)}
        return fields | {"time_in_force": self._dice.choice(("GTC", "GTC", "PostOnly", "IOC"))}, side

    def _price(self, side: str, per_mille: int) -> str:
        book = self._feed.book(*SYMBOL, 50)
        levels = [] if book is None else book.bids(1) if side == "Buy" else book.asks(1)
        return str(round(levels[0][0] * per_mille / 1_000, 1)) if levels else "1"

    async def _place(self, want: int, fields: dict[str, Any], side: str) -> LiveOrder | None:
        link = self._orders.intents.next()
        self._notes.add("sent", want=want, link=link)
        qty = self._dice.choice(QUANTITIES)
        try:
            return await self._orders.place(*SYMBOL, side=side, qty=qty, order_link_id=link, **fields)
        except (OrderRefusedError, engine.TapeheadError) as error:
            self._notes.add("unsent", link=link, why=str(error))
            await asyncio.sleep(self._dice.uniform(0.1, 0.4))
            return None

    async def _close(self, order: LiveOrder) -> None:
        """Let an order be for a while, change it perhaps, and cancel it until it is over."""
        await asyncio.sleep(self._dice.uniform(0, 1))
        if order.state is State.LIVE and self._dice.random() < 0.3:
            try:
                await self._orders.amend(order, qty=self._dice.choice(QUANTITIES))
            except (OrderRefusedError, engine.TapeheadError) as error:
                self._notes.add("unamended", link=order.link_id, why=str(error))
        while not order.is_final:
            try:
                await self._orders.cancel(order)
            except engine.TapeheadError as error:
                self._notes.add("uncancelled", link=order.link_id, why=str(error))
            try:
                await asyncio.wait_for(order.done(), 1.0)
            except TimeoutError:
                continue

    async def _quiet(self) -> None:
        """Return when all is known and nothing new has come for a while."""
        seen = -1
        account, venue = self._orders.account, self._orders.venue
        while (
            seen != self._notes.count
            or not venue.is_ready
            or account.unknown_orders()
            or account.owing_orders()
        ):
            seen = self._notes.count
            await asyncio.sleep(QUIET_S)

    def _tell(self) -> None:
        account = self._orders.account
        live = {order.link_id: [order.qty, order.price, order.filled_qty] for order in account.open_orders()}
        known = {}
        for line in (json.loads(text) for text in Path(self._job.folder, "notes").read_text().splitlines()):
            if line["what"] == "sent" and (order := account.order(line["link"])) is not None:
                known[order.link_id] = [order.state, order.settled_qty]
        coin = account.coins.get("USDT")
        self._notes.add(
            "account",
            live=live,
            known=known,
            position=account.positions.size(*SYMBOL),
            balance=coin and coin.wallet_balance,
            counts=dict(account.counts),
        )


async def main(job: Job) -> None:
    """Trade until told to end, or killed."""
    folder, dice = Path(job.folder), random.Random(f"{job.seed}:{job.life}:policy")
    notes = Notes(folder / "notes")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    feed = engine.Feed(engine.Listener(), "testnet", url=job.ws, rest_url=job.rest)
    feed.subscribe(SYMBOL[0], [SYMBOL[1]])
    limits = Limits(
        max_order_notional=Decimal(100_000),
        max_position={SYMBOL: POSITION_MAX},
        max_open_orders=OPEN_ORDERS_MAX,
        max_orders_per_s=20,
    )
    client = OrderClient(
        "testnet",
        feed=feed,
        listener=Told(notes),
        url=job.ws,
        rest_url=job.rest,
        limits=limits,
        state_folder=folder,
        answer_timeout_s=0.7,
        on_disconnect=dice.choice(("cancel", "keep")),
        at_start=dice.choice(("adopt", "cancel")),
        on_exit="keep",
    )
    notes.add("life", job=asdict(job))
    async with feed, client as orders:
        notes.add("open")
        await Worker(job, orders, feed, notes).run(stop)


if __name__ == "__main__":
    uvloop.run(main(Job(**json.loads(sys.argv[1]))))
