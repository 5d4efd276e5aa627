"""Capture: the live feed into the spool. It knows no database and never waits for one."""

import asyncio
import logging
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any, Final

import orjson
import uvloop

from engine.bybit.pacer import Pacer
from engine.bybit.rest import RestClient
from engine.clock import NS_PER_S, Clock, SystemClock
from engine.decisions import obey
from engine.errors import UsageError
from engine.feed import Feed
from ext.journal import Journal, RecordKind
from ext.listener import Listener
from recorder import ledger
from recorder.config import Market, RecordConfig
from recorder.errors import MachineError
from recorder.folder import DataFolder
from recorder.recording.markets import Markets
from recorder.recording.processes import Tell, answer_asks
from recorder.recording.takeover import SUCCESSOR_LEG, Former, Standby
from recorder.shards import process_name, recorder_name, shard_of
from recorder.spool.writer import Spool

__all__ = ["Capture", "run"]

HEARTBEAT_S: Final = 1.0
CLOCK_STEP_NS_MIN: Final = 50_000_000
PAUSE_NS_MIN: Final = 3_000_000_000  # a heartbeat so late: the process stood still
IN_STEP_TIMEOUT_S: Final = 60.0
IN_STEP_POLL_S: Final = 0.05

logger = logging.getLogger(__name__)


class Capture:
    """Records what ``config`` says into the spool of its data folder; ``listener`` is called as live.

    A strategy may give its own listener and so embed *and* record. One thread, one event loop. ``shard`` is
    which part of the symbols is recorded, of ``config.shards``. ``former`` is the capture process to take
    over from: the spool becomes this one's when `answer` is asked to ``take`` it.
    """

    def __init__(
        self,
        config: RecordConfig,
        listener: Listener | None = None,
        clock: Clock | None = None,
        *,
        shard: int = 0,
        former: dict[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.folder = DataFolder(config.data)
        self.shard = shard
        self.feed: Feed | None = None
        self.spool: Spool | None = None
        self._markets: Markets | None = None
        self._former = None if former is None else Former.decoded(former)
        self._standby: Standby | None = None
        self._stack = ExitStack()  # lets the spool go after the feed
        self._taken = asyncio.Event()
        self._rotating: asyncio.Task[int] | None = None
        self._listener = listener or Listener()
        self._pacer = Pacer()  # one allowance for all that this process asks of REST
        self._clock = clock or SystemClock()
        self._started = self._clock.now()
        self._clock_offset_ns = self._started.wall_ns - self._started.mono_ns

    async def run(
        self, stop: asyncio.Event, on_ready: Callable[[], None], *, needs_network: bool = True
    ) -> None:
        """Record until ``stop`` is set, then end the spool in order.

        ``on_ready`` is called once the venue was reached; without ``needs_network`` at once; where it takes
        over, once it is in step. Raises TopicError for a symbol that is not listed, ConnectError where the
        venue cannot be reached at the start (later it is tried for ever), MachineError where it cannot take
        over, FolderInUseError, SpoolError, OSError.
        """
        async with self._reading(insists=needs_network) as markets:
            with ExitStack() as stack:
                feed = self.feed = self._make_feed(self._begin(stack, markets))
                markets.join(feed, lambda payload: self._append(RecordKind.REST, payload))
                async with feed, _running(markets.run()):
                    if self._standby is not None:
                        await self._stand_by(self._standby, feed, stop, on_ready)
                    await self._beat(feed, stop, on_ready, needs_network=needs_network)
                if self.spool is not None:
                    await self._write_status(feed)

    async def _beat(
        self, feed: Feed, stop: asyncio.Event, on_ready: Callable[[], None], *, needs_network: bool
    ) -> None:
        is_ready = self._former is not None
        beaten_ns = self._clock.now().mono_ns
        while not stop.is_set() and self.spool is not None:
            if not is_ready and (not needs_network or self._is_reached(feed)):
                is_ready = True
                on_ready()
            self._check_clock()
            beaten_ns = self._check_pause(feed, beaten_ns)
            self.spool.heartbeat()
            self._obey_losses(self.spool, feed)
            await self._write_status(feed)
            await _wait(stop, HEARTBEAT_S)

    def _is_reached(self, feed: Feed) -> bool:
        assert self._markets is not None
        unreachable = self._markets.unreachable
        if unreachable is None or feed.restate()["connections"]:
            return True
        if feed.counters.get("failed_attempts"):
            raise unreachable
        return False

    # what it is made of

    @asynccontextmanager
    async def _reading(self, *, insists: bool) -> AsyncIterator[Markets]:
        config = self.config
        client = RestClient(config.environment, region=config.region, url=config.rest_url, pacer=self._pacer)
        async with client as rest:
            self._markets = Markets(
                config.market,
                rest,
                refresh_s=config.refresh_s,
                clock=self._clock,
                random=random.random,
                is_mine=self._is_mine,
                system_status=config.system_status,
            )
            await self._markets.begin(insists=insists)
            yield self._markets

    def _is_mine(self, category: str, symbol: str) -> bool:
        """Whether this shard records a symbol. Trades of options come by coin: a coin is not parted."""
        key = symbol.partition("-")[0] if category == "option" else symbol
        return shard_of(key, self.config.shards) == self.shard

    def _begin(self, stack: ExitStack, markets: Markets) -> Journal:
        """Return the journal to begin with: that of the spool, or one in memory where it takes over."""
        self._stack = stack
        if self._former is not None:
            self._standby = Standby(self._clock.now)
            stack.callback(self._standby.close)
            return self._standby.journal
        return self._open_spool(lambda: {"connections": [], "topics": markets.topics()}).journal

    def _open_spool(self, describe: Callable[[], dict[str, Any]], journal: Journal | None = None) -> Spool:
        self.spool = Spool(
            self.folder.spool_of(self.shard),
            recorder_name(self.config.recorder, self.shard),
            now=self._clock.now,
            describe=describe,
            quota_bytes=self.config.spool.refused_beyond(self.config.shards),
            journal=journal,
        )
        self._stack.enter_context(self.spool)
        return self.spool

    def _make_feed(self, journal: Journal) -> Feed:
        config = self.config
        feed = Feed(
            self._listener,
            config.environment,
            region=config.region,
            url=config.url,
            rest_url=config.rest_url,
            pacer=self._pacer,
            second_url=config.second_url,
            journal=journal,
            clock=self._clock,
            **config.feed,  # type: ignore[arg-type]  # the model has checked names and values
        )
        if self._former is not None:
            feed.reserve(self._former.legs(), self._former.last_connection())
        elif self.spool is not None:
            self.spool.describe = feed.restate
        return feed

    # what the supervisor asks

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what the supervisor asks. Raises TapeheadError for what cannot be."""
        feed, markets, do = self.feed, self._markets, asked["do"]
        if feed is None or markets is None:
            raise MachineError("this process does not record yet", "ask again in a while")
        if do == "add":
            return {"topics": await markets.add(Market.model_validate(asked["market"]))}
        if do == "remove":
            return {"topics": markets.remove(asked["category"], asked["symbols"])}
        if do == "rotate":
            return self._rotate(feed)
        if do == "takeover":
            self._announce(feed, "desire")
            return self._describe(feed)
        if do == "takeover_is_off":
            self._announce(feed, "remove")
            return {}
        if do == "yield":
            return self._yield(feed)
        if do == "take":
            return self._take(feed, asked["connections"])
        raise UsageError(f"{do!r} was asked, which capture does not know", "use the same version of both")

    def _rotate(self, feed: Feed) -> dict[str, Any]:
        """Begin to exchange all connections; how it went is told by events."""
        if self._rotating is not None and not self._rotating.done():
            raise UsageError("a rotation is under way", "wait until it is over")
        self._rotating = feed.rotate()
        return {"topics": [], "connections": len(feed.connections)}

    # taking over, see docs/takeover.md

    def _describe(self, feed: Feed) -> dict[str, Any]:
        said = feed.restate()
        in_step: dict[str, list[str]] = {}
        for status in feed.subscriptions():
            if status.is_in_step:
                in_step.setdefault(status.category, []).append(status.topic)
        return {"connections": [*said["connections"], *said["waiting"]], "in_step": in_step}

    def _announce(self, feed: Feed, op: str) -> None:
        """Say that other legs are to carry everything too: from then on ids of trades are remembered."""
        for category, topics in feed.topics.items():
            said = {"connection": 0, "leg": SUCCESSOR_LEG, "op": op, "topics": list(topics)}
            feed.decide(category, RecordKind.REQUESTED, said)

    def _yield(self, feed: Feed) -> dict[str, Any]:
        """End the spool for another recording; what comes after its last record is not this one's."""
        if self.spool is None:
            raise MachineError("this process has no spool to hand over", "wait until it records")
        said = self._describe(feed)
        self.spool.close()
        return {**said, "ends": True}

    async def _stand_by(
        self, standby: Standby, feed: Feed, stop: asyncio.Event, on_ready: Callable[[], None]
    ) -> None:
        """Record into memory until the spool is this process's; tell when it is in step."""
        assert self._former is not None
        due_ns = self._clock.now().mono_ns + round(IN_STEP_TIMEOUT_S * NS_PER_S)
        is_told = False
        while not stop.is_set() and self.spool is None:
            standby.beat()
            behind = self._former.behind(self._describe(feed)["in_step"], feed.topics)
            if not is_told and not behind:
                is_told = True
                on_ready()
            if standby.is_full or (not is_told and self._clock.now().mono_ns >= due_ns):
                problem = "its memory is full" if standby.is_full else f"not in step: {', '.join(behind[:3])}"
                raise MachineError(f"the recording cannot be taken over, {problem}", "it goes on; try again")
            await _wait(self._taken if is_told else stop, HEARTBEAT_S if is_told else IN_STEP_POLL_S)

    def _take(self, feed: Feed, former: list[dict[str, Any]]) -> dict[str, Any]:
        """Make the spool this process's, and write what came since its connections opened."""
        if self._standby is None or self.spool is not None:
            raise UsageError("this process takes nothing over", "ask one that was started for it")
        spool = self._open_spool(feed.restate, self._standby.journal)
        count = self._standby.pour(former, spool.recovered.recv_ns)
        feed.free_legs()
        self._taken.set()
        return {"records": count, "position": spool.journal.position}

    # records of our own

    def _obey_losses(self, spool: Spool, feed: Feed) -> None:
        for loss in spool.take_losses():
            for category, topics in feed.topics.items():  # a loss of the spool names none: it is of all
                payload = {**loss, "topics": list(topics)}
                now_ns = self._clock.now().wall_ns
                obey(feed.dispatcher(category), RecordKind.LOST, payload, now_ns, spool.journal.position)
            feed.resync()

    def _check_clock(self) -> None:
        now = self._clock.now()
        step_ns = now.wall_ns - now.mono_ns - self._clock_offset_ns
        if abs(step_ns) >= CLOCK_STEP_NS_MIN:
            self._clock_offset_ns += step_ns
            position = self._append(RecordKind.CLOCK, {"step_ns": step_ns})
            self._tell(lambda: ledger.tell_step(self._listener, step_ns, now.wall_ns, position))

    def _check_pause(self, feed: Feed, beaten_ns: int) -> int:
        """Name the time in which this process stood still: what came in it was stamped late, or is lost."""
        now = self._clock.now()
        still_ns = now.mono_ns - beaten_ns
        if still_ns >= PAUSE_NS_MIN:
            loss = ledger.missed(
                now.wall_ns - still_ns, now.wall_ns, "not_running", "the process stood still"
            )
            position = self._append(RecordKind.LOST, loss)
            self._tell(lambda: ledger.tell_missed(self._listener, feed.topics, loss, position))
        return now.mono_ns

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            logger.exception("the listener failed")

    def _append(self, kind: RecordKind, payload: dict[str, Any]) -> int:
        journal = self._standby.journal if self.spool is None and self._standby is not None else None
        if journal is None:
            assert self.spool is not None
            journal = self.spool.journal
        return journal.append_record(kind, orjson.dumps(payload), 0, *self._clock.now())

    # status

    async def _write_status(self, feed: Feed) -> None:
        status = self._status(feed)
        await asyncio.to_thread(self.folder.write_status, process_name(self.shard), status)

    def _status(self, feed: Feed) -> dict[str, Any]:
        assert self.spool is not None
        counters = feed.counters
        return {
            "pid": os.getpid(),
            "started_ns": self._started.wall_ns,
            "updated_ns": self._clock.now().wall_ns,
            "position": self.spool.journal.position,
            "frames": counters.get("frames_received", 0),
            "bytes": counters.get("bytes_received", 0),
            "connections": len(feed.restate()["connections"]),
            "topics": {
                category: {
                    topic: {
                        "state": state.value,
                        "last_recv_ns": feed.dispatcher(category).last_recv_ns(topic),
                    }
                    for topic, state in topics.items()
                }
                for category, topics in feed.topics.items()
            },
            "gaps_open": sum(len(feed.dispatcher(category).open_gaps()) for category in feed.topics),
            "not_recorded": self.spool.journal.refused,
            "failure": None if self.spool.failure is None else str(self.spool.failure),
            "counters": counters,
        }


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, at the latest after so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have something run meanwhile."""
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s failed, recording goes on without", task.get_coro(), exc_info=error)


def run(capture: Capture, tell: Tell, *, is_resumed: bool) -> None:
    """Be the capture process: record until SIGTERM or SIGINT."""
    uvloop.run(_run(capture, tell, is_resumed))


async def _run(capture: Capture, tell: Tell, is_resumed: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _running(answer_asks(capture.answer, tell)):
        await capture.run(stop, lambda: tell({"ready": True}), needs_network=not is_resumed)
