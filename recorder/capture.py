"""Capture: the live feed into the spool. It knows no database and never waits for one."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
import uvloop

from engine.bybit.instruments import Instrument
from engine.bybit.rest import RestClient
from engine.clock import Clock, SystemClock
from engine.decisions import obey
from engine.errors import ConnectError, PeerError, TopicError, UsageError, nearest
from engine.feed import Feed
from ext.journal import RecordKind
from ext.listener import Listener
from recorder import ledger
from recorder.config import Market, RecordConfig
from recorder.folder import DataFolder
from recorder.processes import Tell, answer_asks
from recorder.shards import belongs, process_name, recorder_name
from recorder.spool import Spool

__all__ = ["Capture", "run"]

HEARTBEAT_S: Final = 1.0
CLOCK_STEP_NS_MIN: Final = 50_000_000
PAUSE_NS_MIN: Final = 3_000_000_000  # a heartbeat so late: the process stood still
INSTRUMENTS_PATH: Final = "/v5/market/instruments-info"

logger = logging.getLogger(__name__)


class Capture:
    """Records what ``config`` says into the spool of its data folder; ``listener`` is called as live.

    A strategy may give its own listener and so embed *and* record. One thread, one event loop. ``shard`` is
    which part of the symbols is recorded, of ``config.shards``.
    """

    def __init__(
        self,
        config: RecordConfig,
        listener: Listener | None = None,
        clock: Clock | None = None,
        *,
        shard: int = 0,
    ) -> None:
        self.config = config
        self.folder = DataFolder(config.data)
        self.shard = shard
        self.feed: Feed | None = None
        self._spool: Spool | None = None
        self._listener = listener or Listener()
        self._clock = clock or SystemClock()
        self._started = self._clock.now()
        self._clock_offset_ns = self._started.wall_ns - self._started.mono_ns
        self._unreachable: ConnectError | None = None

    async def run(
        self, stop: asyncio.Event, on_ready: Callable[[], None], *, needs_network: bool = True
    ) -> None:
        """Record until ``stop`` is set, then end the spool in order.

        ``on_ready`` is called once the venue was reached; without ``needs_network`` at once. Raises
        TopicError for a symbol that is not listed, ConnectError where the venue cannot be reached at the
        start (later it is tried for ever), FolderInUseError, SpoolError, OSError.
        """
        listed = await self._fetch_instruments(self.config.market)
        for market in self.config.market:
            _check_listed(market, listed)
        folder, recorder = self.folder.spool_of(self.shard), recorder_name(self.config.recorder, self.shard)
        with Spool(folder, recorder, now=self._clock.now, describe=self._describe_start) as spool:
            self._spool = spool
            feed = self.feed = self._make_feed(spool)
            self._record_instruments(spool, feed, listed, self._markets())
            spool.describe = feed.restate
            async with feed:
                await self._beat(spool, feed, stop, on_ready, needs_network)
            await self._write_status(spool, feed)

    async def _beat(
        self, spool: Spool, feed: Feed, stop: asyncio.Event, on_ready: Callable[[], None], needs_network: bool
    ) -> None:
        is_ready = False
        beaten_ns = self._clock.now().mono_ns
        while not stop.is_set():
            if not is_ready and (not needs_network or self._is_reached(feed)):
                is_ready = True
                on_ready()
            self._check_clock(spool)
            beaten_ns = self._check_pause(spool, feed, beaten_ns)
            spool.heartbeat()
            self._obey_losses(spool, feed)
            await self._write_status(spool, feed)
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await stop.wait()
            except TimeoutError:
                continue

    def _is_reached(self, feed: Feed) -> bool:
        if self._unreachable is None or feed.restate()["connections"]:
            return True
        if feed.counters.get("failed_attempts"):
            raise self._unreachable
        return False

    # changes while running

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what the supervisor asks, once recording. Raises TapeheadError for what cannot be."""
        if self.feed is None or self._spool is None:
            raise UsageError("this process does not record yet", "ask again in a while")
        if asked["do"] == "add":
            return await self._add(Market.model_validate(asked["market"]), self._spool, self.feed)
        if asked["do"] == "remove":
            return self._remove(asked["category"], asked["symbols"], self.feed)
        if asked["do"] == "rotate":
            self.feed.rotate()
            return {"topics": []}
        raise UsageError(f"{asked['do']!r} was asked, which capture does not know", "use the same version")

    async def _add(self, market: Market, spool: Spool, feed: Feed) -> dict[str, Any]:
        listed = await self._fetch_instruments([market])
        _check_listed(market, listed)
        mine = self._mine(market)
        if mine is None:
            return {"topics": []}
        before = set(feed.topics.get(market.category, ()))
        self._want(feed.add, mine)
        self._record_instruments(spool, feed, listed, [mine])
        return {"topics": [topic for topic in feed.topics[market.category] if topic not in before]}

    def _remove(self, category: str, symbols: Sequence[str], feed: Feed) -> dict[str, Any]:
        before = list(feed.topics.get(category, ()))
        if mine := belongs(symbols, self.shard, self.config.shards):
            feed.remove(category, mine)
        left = feed.topics.get(category, {})
        return {"topics": [topic for topic in before if topic not in left]}

    # instruments

    async def _fetch_instruments(self, markets: Sequence[Market]) -> dict[str, list[Instrument]]:
        """Return what the venue lists, by category; a category that it would not tell is left out."""
        listed: dict[str, list[Instrument]] = {}
        config = self.config
        async with RestClient(config.environment, region=config.region, url=config.rest_url) as rest:
            for category in dict.fromkeys(market.category for market in markets):
                try:
                    listed[category] = [
                        one
                        for coin in _base_coins(category, markets)
                        for one in await rest.instruments(category, base_coin=coin)
                    ]
                except PeerError as error:
                    logger.warning(
                        "the %s instruments are unknown, recording goes on without: %s", category, error
                    )
                    if isinstance(error, ConnectError):
                        self._unreachable = error
        return listed

    def _record_instruments(
        self, spool: Spool, feed: Feed, listed: dict[str, list[Instrument]], markets: Sequence[Market]
    ) -> None:
        """Record what the venue says of the wanted symbols; it lists hundreds of others."""
        for category, instruments in listed.items():
            wanted = {
                symbol for market in markets if market.category == category for symbol in market.symbols
            }
            found = [one for one in instruments if one.symbol in wanted]
            if not found:
                continue
            answer = {
                "retCode": 0,
                "retMsg": "OK",
                "result": {"category": category, "list": [one.raw for one in found]},
            }
            record = {
                "path": INSTRUMENTS_PATH,
                "query": {"category": category},
                "category": category,
                "body": orjson.dumps(answer).decode(),
            }
            self._append(spool, RecordKind.REST, record)
            for one in found:
                feed.dispatcher(category).scales(one.symbol, one.price_scale, one.size_scale)

    # what is wanted

    def _mine(self, market: Market) -> Market | None:
        """Return this shard's part of a market."""
        symbols = belongs(market.symbols, self.shard, self.config.shards)
        return market.model_copy(update={"symbols": symbols}) if symbols else None

    def _markets(self) -> list[Market]:
        parts = (self._mine(market) for market in self.config.market)
        return [part for part in parts if part is not None]

    def _describe_start(self) -> dict[str, Any]:
        """Say in the first segment what is wanted: a reader knows from it what no longer is."""
        wanted: dict[str, list[str]] = {}
        for market in self._markets():
            wanted.setdefault(market.category, []).extend(market.topics())
        return {"connections": [], "topics": {name: list(dict.fromkeys(of)) for name, of in wanted.items()}}

    def _want(self, want: Callable[..., object], market: Market) -> None:
        want(
            market.category,
            market.symbols,
            book=market.book,
            trades=market.trades,
            ticker=market.tickers,
            kline=market.kline,
            liquidations=market.liquidations,
        )

    # records of our own

    def _make_feed(self, spool: Spool) -> Feed:
        config = self.config
        feed = Feed(
            self._listener,
            config.environment,
            region=config.region,
            url=config.url,
            rest_url=config.rest_url,
            journal=spool.journal,
            clock=self._clock,
            **config.feed,  # type: ignore[arg-type]  # the model has checked names and values
        )
        for market in self._markets():
            self._want(feed.subscribe, market)
        return feed

    def _obey_losses(self, spool: Spool, feed: Feed) -> None:
        for loss in spool.take_losses():
            for category, topics in feed.topics.items():  # a loss of the spool names none: it is of all
                payload = {**loss, "topics": list(topics)}
                obey(
                    feed.dispatcher(category),
                    RecordKind.LOST,
                    payload,
                    self._clock.now().wall_ns,
                    spool.journal.position,
                )

    def _check_clock(self, spool: Spool) -> None:
        now = self._clock.now()
        step_ns = now.wall_ns - now.mono_ns - self._clock_offset_ns
        if abs(step_ns) >= CLOCK_STEP_NS_MIN:
            self._clock_offset_ns += step_ns
            position = self._append(spool, RecordKind.CLOCK, {"step_ns": step_ns})
            self._tell(lambda: ledger.tell_step(self._listener, step_ns, now.wall_ns, position))

    def _check_pause(self, spool: Spool, feed: Feed, beaten_ns: int) -> int:
        """Name the time in which this process stood still: what came in it was stamped late, or is lost."""
        now = self._clock.now()
        still_ns = now.mono_ns - beaten_ns
        if still_ns >= PAUSE_NS_MIN:
            loss = ledger.missed(
                now.wall_ns - still_ns, now.wall_ns, "not_running", "the process stood still"
            )
            position = self._append(spool, RecordKind.LOST, loss)
            self._tell(lambda: ledger.tell_missed(self._listener, feed.topics, loss, position))
        return now.mono_ns

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            logger.exception("the listener failed")

    def _append(self, spool: Spool, kind: RecordKind, payload: dict[str, Any]) -> int:
        return spool.journal.append_record(kind, orjson.dumps(payload), 0, *self._clock.now())

    # status

    async def _write_status(self, spool: Spool, feed: Feed) -> None:
        await asyncio.to_thread(self.folder.write_status, process_name(self.shard), self._status(spool, feed))

    def _status(self, spool: Spool, feed: Feed) -> dict[str, Any]:
        counters = feed.counters
        return {
            "pid": os.getpid(),
            "started_ns": self._started.wall_ns,
            "updated_ns": self._clock.now().wall_ns,
            "position": spool.journal.position,
            "frames": counters.get("frames_received", 0),
            "bytes": counters.get("bytes_received", 0),
            "connections": len(feed.restate()["connections"]),
            "topics": {
                category: {
                    topic: {
                        "state": str(state),
                        "last_recv_ns": feed.dispatcher(category).last_recv_ns(topic),
                    }
                    for topic, state in topics.items()
                }
                for category, topics in feed.topics.items()
            },
            "gaps_open": sum(len(feed.dispatcher(category).open_gaps()) for category in feed.topics),
            "not_recorded": spool.journal.refused,
            "failure": None if spool.failure is None else str(spool.failure),
            "counters": counters,
        }


def _base_coins(category: str, markets: Sequence[Market]) -> list[str]:
    """Return for which base coins to ask: options are listed for one at a time."""
    if category != "option":
        return [""]
    symbols = (symbol for market in markets if market.category == category for symbol in market.symbols)
    return list(dict.fromkeys(symbol.partition("-")[0] for symbol in symbols))


def _check_listed(market: Market, listed: dict[str, list[Instrument]]) -> None:
    if market.category not in listed:
        return
    symbols = {one.symbol for one in listed[market.category]}
    for symbol in market.symbols:
        if symbol not in symbols:
            problem = (
                f"symbol was {symbol!r}, which is not among the {len(symbols)} that {market.category} trades"
            )
            raise TopicError(
                problem, symbol, nearest(symbol, symbols), "" if nearest(symbol, symbols) else "see the venue"
            )


def run(capture: Capture, tell: Tell, *, is_resumed: bool) -> None:
    """Be the capture process: record until SIGTERM or SIGINT."""
    uvloop.run(_run(capture, tell, is_resumed))


async def _run(capture: Capture, tell: Tell, is_resumed: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asking = asyncio.create_task(answer_asks(capture.answer, tell))
    await capture.run(stop, lambda: tell({"ready": True}), needs_network=not is_resumed)
    asking.cancel()
