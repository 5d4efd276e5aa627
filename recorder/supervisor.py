"""The supervisor of a recording: starts capture and loader, changes what they record, stops them in order."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from engine.clock import NS_PER_S, mono_ns
from engine.errors import TapeheadError, UsageError
from recorder import changes
from recorder.child import OWN_COMMAND, Child
from recorder.config import RecordConfig
from recorder.control import ControlServer
from recorder.errors import MachineError
from recorder.folder import DataFolder
from recorder.lock import FolderLock
from recorder.processes import Handover
from recorder.shards import process_name

__all__ = ["Status", "Supervisor"]

STOP_TIMEOUT_S: Final = 15.0  # capture writes its last records in much less
STATUS_INTERVAL_S: Final = 1.0

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a recording; ``capture`` and ``loader`` are what these last said of themselves.

    Of several capture processes ``capture`` is the sum, and ``captures`` has each by its name.
    """

    elapsed_s: float
    capture: dict[str, Any]
    captures: dict[str, dict[str, Any]]
    loader: dict[str, Any]
    restarts: dict[str, int]


class Supervisor:
    """Records what ``config`` says until told to stop.

    ``on_status`` is called each second. ``capture_command`` is for a capture process with a listener of its
    own, which must use `recorder.processes.serve`. One recording a folder: others are refused. ``config`` is
    what is recorded at present: asks on the control socket change it, for as long as this recording runs.
    """

    def __init__(
        self,
        config: RecordConfig,
        on_status: Callable[[Status], None] | None = None,
        *,
        capture_command: Sequence[str] = OWN_COMMAND,
    ) -> None:
        self.config = config
        self.folder = DataFolder(config.data)
        self.captures = [
            Child(
                process_name(shard), partial(self._handover, shard), command=capture_command, role="capture"
            )
            for shard in range(config.shards)
        ]
        self.loader = Child("loader", partial(self._handover, 0))
        self._on_status = on_status
        self._started_ns = 0

    @property
    def capture(self) -> Child:
        """The first capture process."""
        return self.captures[0]

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event | None = None) -> bool:
        """Record until ``stop``, then end capture, let the loader load the rest, and return whether it could.

        ``hurry`` ends the loading too: the rest is loaded at the next start. Raises TapeheadError where a
        process cannot begin.
        """
        self.folder.path.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(self.folder.path)
        self._started_ns = mono_ns()
        children = (*self.captures, self.loader)
        for child in children:
            self.folder.clear_status(child.name)
        work: list[asyncio.Task[Any]] = []
        try:
            async with ControlServer(self.folder.control, self.answer):
                work = [asyncio.create_task(child.keep()) for child in children]
                work.append(asyncio.create_task(self._watch()))
                stopped = asyncio.create_task(stop.wait())
                await asyncio.wait([*work, stopped], return_when=asyncio.FIRST_COMPLETED)
                stopped.cancel()
                for task in work:
                    if task.done():
                        task.result()
            return await self._stop(hurry or asyncio.Event())
        finally:
            for child in children:
                child.kill()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            lock.release()

    def status(self) -> Status:
        """Return what is known now."""
        captures = {child.name: self.folder.read_status(child.name) for child in self.captures}
        return Status(
            elapsed_s=(mono_ns() - self._started_ns) / NS_PER_S,
            capture=_sum(list(captures.values())),
            captures=captures,
            loader=self.folder.read_status(self.loader.name),
            restarts={child.name: child.restarts for child in (*self.captures, self.loader)},
        )

    # the control socket

    async def answer(self, asked: dict[str, Any]) -> Answer:
        """Do what was asked and return the answer. Raises TapeheadError where that cannot be done."""
        answers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "add": self._add,
            "remove": self._remove,
            "rotate": self._rotate,
            "status": self._tell_status,
        }
        if asked["do"] not in answers:
            raise UsageError(
                f'"do" was {asked["do"]!r}, which is unknown', f"use one of {', '.join(answers)}"
            )
        answer: Answer = await answers[asked["do"]](asked)
        return answer

    async def _add(self, asked: dict[str, Any]) -> Answer:
        market = changes.market(asked)
        config = changes.added(self.config, market)
        answer = await self._ask_captures({"do": "add", "market": market.model_dump(mode="json")})
        self.config = config
        return answer

    async def _remove(self, asked: dict[str, Any]) -> Answer:
        category, symbols = changes.removal(asked)
        config = changes.removed(self.config, category, symbols)
        answer = await self._ask_captures({"do": "remove", "category": category, "symbols": list(symbols)})
        self.config = config
        return answer

    async def _rotate(self, asked: dict[str, Any]) -> Answer:
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

    # inside

    def _handover(self, shard: int, is_resumed: bool) -> Handover:
        return Handover(self.config, is_resumed, shard)

    async def _stop(self, hurry: asyncio.Event) -> bool:
        await asyncio.gather(*(child.stop(STOP_TIMEOUT_S) for child in self.captures))
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
