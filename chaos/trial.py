"""One trial: a fault is brought about, and what is promised of it is held against what happened."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from chaos import ours
from chaos.catalogue import Case, topics_of_kind
from chaos.guarantees import Promise
from chaos.loop import run
from chaos.world import World
from engine.clock import NS_PER_S

__all__ = ["Trial", "try_case"]

STARTS_WITHIN_S: Final = 15.0
HAPPENS_WITHIN_S: Final = 60.0
AFTERMATH_S: Final = 3.0
SLACK_S: Final = 1.0
"""Ledger and truth are compared by the second."""
FAILURES_MAX: Final = 5


@dataclass(slots=True)
class Trial:
    """What came of a case with a seed. ``failures`` is empty where every promise was kept."""

    name: str
    seed: int
    failures: list[str] = field(default_factory=list)
    noticed_s: float | None = None
    back_s: float | None = None
    virtual_s: float = 0.0
    log: bytes = b""

    def fail(self, what: str) -> None:
        """Note that a promise was broken."""
        if len(self.failures) < FAILURES_MAX:
            self.failures.append(what)


def try_case(case: Case, promise: Promise, seed: int) -> Trial:
    """Run a case in virtual time; the same seed gives the same trial."""
    legs = 2 if case.kind == "legs" else 1
    world = World(seed, categories=case.categories, legs=legs, spare=case.spare)
    trial = Trial(case.name, seed)
    run(_Run(world, case, promise, trial).play(), world.clock)
    trial.virtual_s = world.log.now_s
    trial.log = world.log.text()
    return trial


class _Run:
    def __init__(self, world: World, case: Case, promise: Promise, trial: Trial) -> None:
        self._world = world
        self._case = case
        self._promise = promise
        self._trial = trial
        self._began_s = 0.0
        self._ended_s = 0.0
        self._before: Counter[str] = Counter()
        self._targets: set[str] = set(world.topics)

    async def play(self) -> None:
        """Start, let the fault happen, wait for the end of its consequences, and judge."""
        world, case = self._world, self._case
        world.begin()
        if case.starting:
            await self._happen()
        async with world.feed:
            if not case.starting:
                if not await world.until(world.is_in_step, STARTS_WITHIN_S):
                    self._trial.fail(
                        f"not in step {STARTS_WITHIN_S} s after the start: {world.out_of_step()}"
                    )
                await self._be_quiet()
                await world.sleep(world.random.uniform(1, 4))
                self._before = Counter(world.feed.counters)
                await self._happen()
            elif not await world.until(lambda: bool(self._fired_s()), HAPPENS_WITHIN_S):
                self._trial.fail("the fault did not happen")
            else:
                self._began_s = self._ended_s = self._fired_s()[0]
            await self._recover()
            await world.sleep(AFTERMATH_S)
            self._judge()

    async def _be_quiet(self) -> None:
        """Let the markets be quiet for a while first: level 1 then repeats itself."""
        world, quiet_s = self._world, self._case.quiet_s
        if quiet_s:
            for symbol in world.symbols:
                quiet = {"fault": "quiet", "category": world.category, "symbol": symbol}
                world.venue.arm({**quiet, "ms": round(quiet_s * 1000)})
            await world.sleep(quiet_s)

    async def _happen(self) -> None:
        world, case = self._world, self._case
        self._began_s = world.log.now_s
        if case.is_ours:
            world.log.add("fault", case.name)
            await {**ours.FAULTS, **ours.LEG_FAULTS}[case.fault](world)
        else:
            await self._arm()
        self._ended_s = world.log.now_s

    async def _arm(self) -> None:
        world, case = self._world, self._case
        entry: dict[str, Any] = {"fault": case.fault, **case.values}
        topics = topics_of_kind(case.kind, world.topics, world.deep)
        if case.kind == "symbol":
            symbol = world.random.choice(world.symbols)
            entry |= {"category": world.category, "symbol": symbol}
            self._targets = set(world.topics_of(symbol))
        elif topics != world.topics:
            entry["topic"] = world.random.choice(topics)
            self._targets = {entry["topic"]}
        world.venue.arm(entry)
        if case.starting:
            return
        if not await world.until(lambda: bool(self._fired_s()), HAPPENS_WITHIN_S):
            self._trial.fail("the fault did not happen")
            return
        self._began_s = self._fired_s()[0]
        if case.lasts_s:
            await world.sleep(case.lasts_s)
        elif case.until_noticed:
            await world.until(self._is_noticed, self._promise.within_s + world.network_s())
        if case.lasts_s or case.until_noticed:
            world.venue.plan.clear()

    def _is_over(self) -> bool:
        """Whether a fault that happens a number of times has happened so often; when it did for the last."""
        plan = self._world.venue.plan
        if plan.faults and not self._case.lasts_s:
            self._ended_s = max([self._ended_s, *self._fired_s()])
        return all(fault.spent or not fault.times for fault in plan.faults)

    def _fired_s(self) -> list[float]:
        """When the fault happened, as far as the simulator brings it about."""
        venue = self._world.venue
        return [venue.seconds(one["at_ns"]) for one in venue.plan.log if one["fault"] == self._case.fault]

    async def _recover(self) -> None:
        """Wait until the fault was noticed and every topic is in step again, within what is promised."""
        world, promise, trial = self._world, self._promise, self._trial
        until_s = self._began_s + promise.within_s
        missing = list(promise.outcomes)

        def all_noticed() -> bool:
            missing[:] = [outcome for outcome in missing if not self._came(*outcome)]
            return not missing

        if not await world.until(all_noticed, until_s - world.log.now_s + world.network_s()):
            wanted = " and ".join(f"{what} {' or '.join(names)}" for what, names in missing)
            trial.fail(f"expected {wanted} within {promise.within_s} s, got {self._got()}")
        trial.noticed_s = world.log.now_s - self._began_s
        await world.until(self._is_over, HAPPENS_WITHIN_S)
        limit_s = max(self._ended_s, self._began_s) + promise.back_s - world.log.now_s + world.network_s()
        if not await world.until(world.is_in_step, limit_s):
            trial.fail(f"not in step {promise.back_s} s after the fault: {world.out_of_step()}")
        trial.back_s = world.log.now_s - self._ended_s

    def _is_noticed(self) -> bool:
        return all(self._came(*outcome) for outcome in self._promise.outcomes)

    def _came(self, what: str, names: tuple[str, ...]) -> bool:
        if what == "counted":
            counters = self._world.feed.counters
            return any(counters.get(name, 0) > self._before[name] for name in names)
        return any(
            one.what == what and one.kind in names and one.at_s >= self._began_s
            for one in self._world.witness.noticed
        )

    def _got(self) -> str:
        grown = Counter(self._world.feed.counters)
        grown.subtract(self._before)
        gaps = {f"gap {one.kind}" for one in self._world.witness.noticed if one.what == "gap"}
        quiet = ("frames", "bytes", "messages", "pings", "pongs")
        counted = {f"{name} {count}" for name, count in grown.items() if count and not name.endswith(quiet)}
        return ", ".join(sorted(gaps) + sorted(counted)) or "nothing"

    # judging

    def _judge(self) -> None:
        world, trial, promise = self._world, self._trial, self._promise
        for wrong in world.witness.wrong:
            trial.fail(wrong)
        for one in world.witness.noticed:
            if one.what != "gap":
                continue
            if one.kind not in promise.gaps:
                trial.fail(f"gap {one.kind} of {one.topic} at {one.at_s:.3f} s, which is not promised")
            elif one.topic not in self._targets:
                trial.fail(f"gap {one.kind} of {one.topic}, which the fault did not touch")
        if not world.is_in_step():
            trial.fail(f"not in step at the end: {world.out_of_step()}")
        self._judge_books()
        self._judge_coverage()
        if world.feed.counters.get("faults", 0):
            trial.fail("something was raised inside the engine")

    def _judge_books(self) -> None:
        """At the end each book is the venue's."""
        world = self._world
        for book in world.books():
            update_id = book.update_id - world.witness.known_as.get(book.topic, 0)
            if world.venue.truth.book(book.topic, update_id) != (dict(book.bids()), dict(book.asks())):
                self._trial.fail(f"{book.topic} is not the venue's book at the end")

    def _judge_coverage(self) -> None:
        """What was published came, or the ledger says that it is missing."""
        world = self._world
        end_ns = world.venue.now_ns() - round((SLACK_S + 2 * world.network_s()) * NS_PER_S)
        for topic in world.topics:
            rows = [gap for gap in world.witness.ledger.values() if gap.topic == topic]
            lost = [
                one.at_ns
                for one in world.venue.truth.published[topic]
                if self._counts_from_ns(topic) <= one.at_ns < end_ns
                and one.payload not in world.delivered[topic]
            ]
            slack_ns = round(SLACK_S * NS_PER_S)
            uncovered = [
                at_ns
                for at_ns in lost
                if not any(
                    gap.start_ns - slack_ns <= at_ns and (not gap.end_ns or at_ns <= gap.end_ns + slack_ns)
                    for gap in rows
                )
            ]
            if uncovered and self._promise.gaps:
                at_s = world.venue.seconds(uncovered[0])
                self._trial.fail(
                    f"{len(uncovered)} messages of {topic} are neither recorded nor in the ledger, "
                    f"from {at_s:.3f} s"
                )

    def _counts_from_ns(self, topic: str) -> int:
        """From its first confirmation on, a topic is accounted for."""
        for one in self._world.witness.noticed:
            if one.what == "event" and one.kind == "confirmed" and one.topic == topic:
                return self._world.venue.start_ns + round(one.at_s * NS_PER_S)
        return 1 << 62
