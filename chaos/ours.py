"""Faults of this side of the wire: the cable, names, clocks, the machine."""

import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from chaos.world import World

__all__ = ["FAULTS", "LEG_FAULTS", "SPARE"]

HOUR_S: Final = 3600.0
CUTS: Final = 10
LEGS: Final = 2


async def _cut_while(world: World, seconds: float, failure: Callable[[], Exception] | None) -> None:
    """Cut every connection; until so many seconds later each attempt to connect fails."""
    world.network.failure = failure
    for link in world.links():
        link.cut()
    await world.sleep(seconds)
    world.network.failure = None


async def cable_cut(world: World) -> None:
    """No network for some seconds."""
    await _cut_while(world, world.random.uniform(1, 20), lambda: OSError(101, "Network is unreachable"))


async def name_not_found(world: World) -> None:
    """The connection ends, and the venue's name is not found for some seconds."""
    await _cut_while(world, world.random.uniform(1, 20), lambda: socket.gaierror(-2, "Name not known"))


async def connection_refused(world: World) -> None:
    """The connection ends, and the venue's port is closed for some seconds."""
    await _cut_while(world, world.random.uniform(1, 20), lambda: ConnectionRefusedError(111, "refused"))


async def certificate_refused(world: World) -> None:
    """The connection ends, and the certificate offered is not to be trusted for some seconds."""
    await _cut_while(world, world.random.uniform(1, 20), lambda: ssl.SSLError("certificate verify failed"))


async def flapping(world: World) -> None:
    """The connection is cut again and again, a second or two after it was opened."""
    for _ in range(CUTS):
        for link in world.links():
            link.cut()
        await world.sleep(world.random.uniform(0.5, 3))


async def cut_while_subscribing(world: World) -> None:
    """The connection is cut twice: the second time while it subscribes."""
    for link in world.links():
        link.cut()
    await world.until(lambda: bool(world.links()), 10)
    await world.sleep(world.random.uniform(0, 0.1))
    for link in world.links():
        link.cut()


async def silent_down(world: World) -> None:
    """Nothing comes any more, but what is sent arrives."""
    for link in world.links():
        link.conditions.is_silent_down = True


async def silent_up(world: World) -> None:
    """What is sent does not arrive any more, but everything still comes."""
    for link in world.links():
        link.conditions.is_silent_up = True
    await world.sleep(60)
    for link in world.links():
        link.conditions.is_silent_up = False


async def wall_clock_forward(world: World) -> None:
    """The wall clock is set forward by an hour."""
    world.clock.step_wall(HOUR_S)


async def wall_clock_back(world: World) -> None:
    """The wall clock is set back by an hour."""
    world.clock.step_wall(-HOUR_S)


async def loop_blocked(world: World) -> None:
    """The process does nothing for five seconds."""
    world.clock.advance(5)


async def process_stopped(world: World) -> None:
    """The process is stopped for half a minute."""
    world.clock.advance(30)


async def callback_raises(world: World) -> None:
    """A callback of the listener raises at each call for a while."""
    world.witness.raises = True
    await world.sleep(2)
    world.witness.raises = False


async def rotation(world: World) -> None:
    """Each connection is exchanged for a new one."""
    await world.feed.rotate()


async def symbols_come_and_go(world: World) -> None:
    """Ten symbols are added to the running feed, one by one, and removed again."""
    for symbol in world.spare:
        world.feed.add(
            world.category, [symbol], book=(1, world.deep[symbol]), trades=True, ticker=True, legs=world.legs
        )
        await world.sleep(world.random.uniform(0, 0.5))
    for symbol in world.spare:
        world.feed.remove(world.category, [symbol])
        await world.sleep(world.random.uniform(0, 0.5))


async def one_leg_cut(world: World) -> None:
    """One of two connections is cut, now this and now that, each time when both are there again."""
    for _ in range(CUTS):
        world.random.choice(world.links()).cut()
        await world.until(lambda: len(world.links()) == LEGS and world.is_in_step(), 30)
        await world.sleep(world.random.uniform(1, 3))


async def both_legs_cut(world: World) -> None:
    """Both connections are cut at once."""
    for link in world.links():
        link.cut()


async def legs_swap(world: World) -> None:
    """One connection is cut, and the other as soon as the first is back."""
    first, second = world.links()
    first.cut()
    await world.until(lambda: len(world.links()) == LEGS and world.is_in_step(), 30)
    await world.sleep(5)
    second.cut()


async def rotation_of_legs(world: World) -> None:
    """Each of two connections is exchanged for a new one."""
    await world.feed.rotate()


LEG_FAULTS: Final[Mapping[str, Callable[[World], Awaitable[None]]]] = MappingProxyType(
    {fault.__name__: fault for fault in (one_leg_cut, both_legs_cut, legs_swap, rotation_of_legs)}
)
"""What happens to two connections that carry the same."""

FAULTS: Final[Mapping[str, Callable[[World], Awaitable[None]]]] = MappingProxyType(
    {
        fault.__name__: fault
        for fault in (
            cable_cut,
            name_not_found,
            connection_refused,
            certificate_refused,
            flapping,
            cut_while_subscribing,
            silent_down,
            silent_up,
            wall_clock_forward,
            wall_clock_back,
            loop_blocked,
            process_stopped,
            callback_raises,
            rotation,
            symbols_come_and_go,
        )
    }
)

SPARE: Final[Mapping[str, int]] = MappingProxyType({"symbols_come_and_go": 10})
"""How many symbols that nobody follows a fault needs."""
