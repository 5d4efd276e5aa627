"""Longer runs of a whole feed in virtual time: symbols that come and go, and connections that take turns."""

from random import Random

from chaos.loop import run
from chaos.outcome import Outcome
from chaos.world import World

__all__ = ["legs_cut", "symbols_come_and_go"]

IN_STEP_S = 60.0
PAUSE_S = 2.0


def symbols_come_and_go(count: int, seed: int) -> Outcome:
    """Add so many symbols to a running feed and remove them again: no topic has a gap."""
    outcome = Outcome("symbols added and removed")
    world = World(seed, spare=count)
    run(_come_and_go(world, outcome), world.clock)
    _judge(world, outcome)
    outcome.figures["symbols"] = count
    return outcome


async def _come_and_go(world: World, outcome: Outcome) -> None:
    world.begin()
    random = Random(world.random.random())  # noqa: S311 (a test's dice, not a secret)
    async with world.feed:
        await _in_step(world, outcome)
        for symbol in world.spare:
            world.feed.add(world.category, [symbol], book=(1, world.deep[symbol]), trades=True, ticker=True)
            if random.random() < 0.2:
                await world.sleep(random.random())
        await _in_step(world, outcome)
        outcome.figures["books"] = len(world.books())
        for symbol in world.spare:
            world.feed.remove(world.category, [symbol])
            if random.random() < 0.2:
                await world.sleep(random.random())
        await world.sleep(PAUSE_S)
        await _in_step(world, outcome)


def legs_cut(cuts: int, seed: int) -> Outcome:
    """Cut one of two connections again and again, each time when both are there: no topic has a gap."""
    outcome = Outcome("one of two legs cut")
    world = World(seed, legs=2)
    run(_cut_legs(world, cuts, outcome), world.clock)
    _judge(world, outcome)
    outcome.figures["cuts"] = cuts
    return outcome


async def _cut_legs(world: World, cuts: int, outcome: Outcome) -> None:
    world.begin()
    async with world.feed:
        await _in_step(world, outcome)
        for _ in range(cuts):
            await world.sleep(PAUSE_S + world.random.random())
            world.random.choice(world.links()).cut()
            await world.sleep(PAUSE_S)
            await _in_step(world, outcome)


async def _in_step(world: World, outcome: Outcome) -> None:
    if not await world.until(world.is_in_step, IN_STEP_S):
        outcome.fail(f"not in step after {IN_STEP_S} s, at {world.log.now_s:.1f} s: {world.out_of_step()}")


def _judge(world: World, outcome: Outcome) -> None:
    for wrong in world.witness.wrong:
        outcome.fail(wrong)
    gaps = [one for one in world.witness.noticed if one.what == "gap"]
    for gap in gaps:
        outcome.fail(f"gap {gap.kind} of {gap.topic} at {gap.at_s:.3f} s")
    outcome.figures |= {"gaps": len(gaps), "books_checked": world.witness.books}
