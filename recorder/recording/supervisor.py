"""The supervisor of a recording: starts its processes, changes what they record, stops them in order."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from engine.clock import NS_PER_S, mono_ns
from engine.errors import TapeheadError, UsageError
from recorder.config import RecordConfig
from recorder.errors import MachineError
from recorder.folder import DataFolder
from recorder.recording import changes
from recorder.recording.child import OWN_COMMAND, Child
from recorder.recording.control import ControlServer, ask
from recorder.recording.processes import Handover
from recorder.shards import process_name
from recorder.spool.lock import FolderLock

__all__ = ["TAKEOVER_LOCK", "Status", "Supervisor"]

STOP_TIMEOUT_S: Final = 15.0  # capture writes its last records in much less
STATUS_INTERVAL_S: Final = 1.0
TAKEOVER_TIMEOUT_S: Final = 120.0
TAKEOVER_LOCK: Final = "takeover.lock"  # one at a time takes over
YIELD_LOADER_S: Final = 5.0  # what the old loader does not load by then the new one does

logger = logging.getLogger(__name__)

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a recording; ``capture``, ``loader``, ``keeper`` are what these last said.

    Of several capture processes ``capture`` is the sum, and ``captures`` has each by its name.
    """

    elapsed_s: float
    capture: dict[str, Any]
    captures: dict[str, dict[str, Any]]
    loader: dict[str, Any]
    keeper: dict[str, Any]
    restarts: dict[str, int]


class Supervisor:
    """Records what ``config`` says until told to stop.

    ``on_status`` is called each second. ``capture_command`` is for a capture process with a listener of its
    own, which must use `processes.serve`. One recording a folder: others are refused. ``config`` is what is
    recorded at present: asks on the control socket change it, for as long as this recording runs.
    ``takes_over``: from the recording that runs in the folder (docs/takeover.md).
    """

    def __init__(
        self,
        config: RecordConfig,
        on_status: Callable[[Status], None] | None = None,
        *,
        capture_command: Sequence[str] = OWN_COMMAND,
        takes_over: bool = False,
    ) -> None:
        self.config = config
        self.is_taken_over = False
        self.folder = DataFolder(config.data)
        self.captures = [
            Child(
                process_name(shard), partial(self._handover, shard), command=capture_command, role="capture"
            )
            for shard in range(config.shards)
        ]
        self.loader = Child("loader", partial(self._handover, 0))
        self.keeper = Child("keeper", partial(self._handover, 0))  # killed at the end: it is made for that
        self._on_status = on_status
        self._takes_over = takes_over
        self._formers: list[dict[str, Any]] | None = None  # until their spools are ours
        self._frozen_until_ns = 0
        self._thawing: asyncio.Task[None] | None = None
        self._started_ns = 0

    @property
    def _children(self) -> tuple[Child, ...]:
        return (*self.captures, self.loader, self.keeper)

    @property
    def capture(self) -> Child:
        """The first capture process."""
        return self.captures[0]

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event | None = None) -> bool:
        """Record until ``stop``, then end capture, let the loader load the rest, and return whether it could.

        ``hurry`` ends the loading too: the rest is loaded at the next start. Raises TapeheadError where a
        process cannot begin. When another recording takes over, that loads the rest: True is returned.
        """
        self._started_ns = mono_ns()
        self.folder.path.mkdir(parents=True, exist_ok=True)
        children = self._children
        work: list[asyncio.Task[Any]] = []
        lock: FolderLock | None = None
        try:
            if self._takes_over:
                with FolderLock(self.folder.path, TAKEOVER_LOCK):
                    if not await self._get_in_step(stop, work):
                        logger.warning("ended before it took over: the recording that runs goes on")
                        return True
                    lock = await self._take_over()
            else:
                lock = FolderLock(self.folder.path)
                for child in children:
                    self.folder.clear_status(child.name)
            async with ControlServer(self.folder.control, self.answer):
                if not self._takes_over:
                    work += [asyncio.create_task(child.keep()) for child in self.captures]
                loading = asyncio.create_task(self.loader.keep())
                keeping = asyncio.create_task(self.keeper.keep())
                work += [loading, keeping, asyncio.create_task(self._watch())]
                await self._until(stop, work)
            return await self._stop(hurry or asyncio.Event(), [loading])
        finally:
            if self._thawing is not None:
                self._thawing.cancel()
            for child in children:
                child.kill()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if lock is not None:
                lock.release()

    async def _until(self, event: asyncio.Event, work: Sequence[asyncio.Task[Any]]) -> None:
        """Return when the event is set or something of the work has ended; raises what that raised."""
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait([*work, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        for task in work:
            if task.done():
                task.result()

    def status(self) -> Status:
        """Return what is known now."""
        captures = {child.name: self.folder.read_status(child.name) for child in self.captures}
        return Status(
            elapsed_s=(mono_ns() - self._started_ns) / NS_PER_S,
            capture=_sum(list(captures.values())),
            captures=captures,
            loader=self.folder.read_status(self.loader.name),
            keeper=self.folder.read_status(self.keeper.name),
            restarts={child.name: child.restarts for child in self._children},
        )

    # the control socket

    async def answer(self, asked: dict[str, Any]) -> Answer:
        """Do what was asked and return the answer. Raises TapeheadError where that cannot be done."""
        answers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "add": self._add,
            "remove": self._remove,
            "rotate": self._rotate,
            "status": self._tell_status,
            "takeover": self._begin_takeover,
            "yield": self._yield,
        }
        if asked["do"] not in answers:
            raise UsageError(
                f'"do" was {asked["do"]!r}, which is unknown', f"use one of {', '.join(answers)}"
            )
        answer: Answer = await answers[asked["do"]](asked)
        return answer

    async def _add(self, asked: dict[str, Any]) -> Answer:
        self._check_free()
        market = changes.market(asked)
        answer = await self._ask_captures({"do": "add", "market": market.model_dump(mode="json")})
        self.config = changes.added(self.config, market)
        return answer

    async def _remove(self, asked: dict[str, Any]) -> Answer:
        self._check_free()
        category, symbols = changes.removal(asked)
        config = changes.removed(self.config, category, symbols)
        answer = await self._ask_captures({"do": "remove", "category": category, "symbols": list(symbols)})
        self.config = config
        return answer

    async def _rotate(self, asked: dict[str, Any]) -> Answer:
        self._check_free()
        changes.only(asked)
        return await self._ask_captures({"do": "rotate"})

    async def _tell_status(self, asked: dict[str, Any]) -> Answer:
        changes.only(asked)
        return {"pid": os.getpid(), "config": self.config.model_dump(mode="json"), **asdict(self.status())}

    async def _ask_captures(self, asked: dict[str, Any]) -> Answer:
        """Ask each capture process and return their topics; one that does not run learns it when it starts.

        Raises what they refuse it for (each judges all that was asked), or MachineError where none runs.
        """
        ends = await asyncio.gather(*(child.ask(asked) for child in self.captures), return_exceptions=True)
        errors = [end for end in ends if isinstance(end, BaseException)]
        for error in errors:
            if len(errors) == len(ends) or not isinstance(error, MachineError):
                raise error
        topics = [topic for end in ends if isinstance(end, dict) for topic in end["topics"]]
        late = {
            child.name: str(end)
            for child, end in zip(self.captures, ends, strict=True)
            if isinstance(end, TapeheadError)
        }
        return {"topics": topics, "late": late}

    # takeover: the old recording's side

    async def _begin_takeover(self, asked: dict[str, Any]) -> Answer:
        """Tell another recording what it needs to know, and change nothing until it had its time."""
        given = changes.only(asked, "recorder", "shards")
        for name in given:
            ours = getattr(self.config, name)
            if given[name] != ours:
                problem = f"{name} was {given[name]!r}, the recording that runs has {ours!r}"
                raise UsageError(problem, "take over with the same, or end that recording first")
        self._check_ours()
        self._frozen_until_ns = mono_ns() + round(TAKEOVER_TIMEOUT_S * NS_PER_S)
        try:
            captures = await asyncio.gather(*(child.ask({"do": "takeover"}) for child in self.captures))
        except TapeheadError:
            await self._call_off()
            raise
        if self._thawing is not None:
            self._thawing.cancel()
        self._thawing = asyncio.create_task(self._thaw())
        return {"pid": os.getpid(), "config": self.config.model_dump(mode="json"), "captures": captures}

    async def _yield(self, asked: dict[str, Any]) -> Answer:
        """End all capture processes for another recording; this one ends after the answer."""
        changes.only(asked)
        self._check_ours()
        if mono_ns() >= self._frozen_until_ns:
            raise UsageError("nothing was agreed on, or too long ago", 'ask "takeover" first')
        self.is_taken_over = True
        for child in self.captures:
            child.retire()
        ends = await asyncio.gather(
            *(child.ask({"do": "yield"}) for child in self.captures), return_exceptions=True
        )
        for child, end in zip(self.captures, ends, strict=True):
            if isinstance(end, BaseException):
                logger.warning("%s handed nothing over, its spool is as it left it: %s", child.name, end)
                child.kill()
        return {"connections": [end["connections"] if isinstance(end, dict) else [] for end in ends]}

    async def _thaw(self) -> None:
        """Go on alone where the other recording did not come back in time."""
        await asyncio.sleep(TAKEOVER_TIMEOUT_S)
        logger.warning("another recording began to take over and did not")
        await self._call_off()

    async def _call_off(self) -> None:
        self._frozen_until_ns = 0
        ends = await asyncio.gather(
            *(child.ask({"do": "takeover_is_off"}) for child in self.captures), return_exceptions=True
        )
        for child, end in zip(self.captures, ends, strict=True):
            if isinstance(end, BaseException):  # started anew it knows of no takeover
                logger.warning("%s was not told that nothing takes over: %s", child.name, end)

    def _check_ours(self) -> None:
        if self.is_taken_over:
            raise UsageError("another recording has taken over from this one", "ask that one in a moment")

    def _check_free(self) -> None:
        if mono_ns() < self._frozen_until_ns:
            problem = "another recording is taking over from this one"
            raise MachineError(problem, "ask again when it has")

    # takeover: the new recording's side

    async def _get_in_step(self, stop: asyncio.Event, work: list[asyncio.Task[Any]]) -> bool:
        """Start capture processes that stand by; return once all are in step, False where told to stop."""
        asked = {"do": "takeover", "recorder": self.config.recorder, "shards": self.config.shards}
        self._formers = (await asyncio.to_thread(ask, self.folder, asked))["captures"]
        work += [asyncio.create_task(child.keep()) for child in self.captures]
        ready = asyncio.create_task(self._all_ready())
        try:
            await self._until(stop, [ready, *work])
        finally:
            ready.cancel()
        return not stop.is_set()

    async def _take_over(self) -> FolderLock:
        """Have the old recording end and go on in its place; return its folder's lock.

        From here on there is no way back: a capture process that cannot go on where the old one ended begins
        like any that is started again, and what was not recorded until then is in the ledger.
        """
        try:
            connections = (await asyncio.to_thread(ask, self.folder, {"do": "yield"}))["connections"]
        except MachineError as error:  # it has ended, unless it holds its folder still
            lock = await FolderLock.wait(self.folder.path, TAKEOVER_TIMEOUT_S)
            logger.error(
                "the old recording handed nothing over (%s): recording begins anew, with a gap", error
            )
            self._formers = None
            for child in self.captures:
                child.restart()
            return lock
        self._formers = None
        await asyncio.gather(*map(self._take, self.captures, connections))
        return await FolderLock.wait(self.folder.path, TAKEOVER_TIMEOUT_S)

    async def _all_ready(self) -> None:
        for child in self.captures:
            await child.ready.wait()

    async def _take(self, child: Child, connections: list[dict[str, Any]]) -> None:
        try:
            await child.ask({"do": "take", "connections": connections})
        except TapeheadError as error:
            logger.error("%s could not take over (%s): it begins anew, with a gap", child.name, error)
            child.restart()

    # inside

    def _handover(self, shard: int, is_resumed: bool) -> Handover:
        former = self._formers[shard] if self._formers is not None else None
        return Handover(self.config, is_resumed, shard, former)

    async def _stop(self, hurry: asyncio.Event, work: Sequence[asyncio.Task[Any]]) -> bool:
        await asyncio.gather(*(child.stop(STOP_TIMEOUT_S) for child in self.captures))
        if self.is_taken_over:
            await self.loader.stop(YIELD_LOADER_S)
            return True
        # Before the loader is ready it would end by the signal, and load nothing.
        ready = asyncio.create_task(self.loader.ready.wait())
        await self._until(hurry, [ready, *work])
        ready.cancel()
        loading = asyncio.create_task(self.loader.stop(None))
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait([loading, hurried], return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not loading.done():
            self.loader.kill()
        return await loading

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(STATUS_INTERVAL_S)
            if self._on_status is not None:
                self._on_status(self.status())


def _sum(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what several capture processes say as if they were one."""
    told = [status for status in told if status]
    if len(told) < 2:
        return told[0] if told else {}
    total = dict(told[0])
    for name in ("frames", "bytes", "connections", "gaps_open", "not_recorded"):
        total[name] = sum(status[name] for status in told)
    counters: Counter[str] = Counter()
    topics: dict[str, dict[str, Any]] = {}
    for status in told:
        counters.update(status["counters"])
        for category, states in status["topics"].items():
            topics.setdefault(category, {}).update(states)
    failures = [status["failure"] for status in told if status["failure"]]
    return {**total, "counters": dict(counters), "topics": topics, "failure": next(iter(failures), None)}
