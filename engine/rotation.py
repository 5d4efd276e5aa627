"""Make before break: a connection is exchanged for a new one without a moment without data."""

import asyncio
from collections.abc import Mapping
from typing import Final

from engine.connection import Connection
from engine.errors import UsageError
from engine.fleet import Fleet
from engine.placement import Shard

__all__ = ["ROTATION_TIMEOUT_S", "rotate", "rotate_when_old"]

# A new connection that has not all topics in step by then is given up; the old one stays.
ROTATION_TIMEOUT_S: Final = 60.0
RETRY_S: Final = 600.0
LOOK_S_MAX: Final = 60.0


async def rotate(fleet: Fleet, shard: Shard) -> bool:
    """Put a shard's topics on a new connection, wait until they are in step there, then leave the old one.

    Returns whether the connection was exchanged. One that is being exchanged already is left alone.
    """
    if len(fleet.carriers(shard)) != 1:
        return False
    (old,) = fleet.carriers(shard)
    try:
        new = fleet.add_carrier(shard)
    except UsageError as error:
        old.note("rotation_failed", error.problem)
        return False
    leaving = new
    try:
        async with asyncio.timeout(ROTATION_TIMEOUT_S):
            while fleet.carriers(shard) and not _replaces(new, old):
                await fleet.changed()
    except TimeoutError:
        old.note("rotation_failed", f"leg {new.session.leg} was not in step after {ROTATION_TIMEOUT_S:g} s")
    else:
        leaving = old
        if not fleet.carriers(shard):
            return False  # its topics are gone, and both connections with them
        new.note("rotated", f"leg {new.session.leg} instead of leg {old.session.leg}")
    finally:
        fleet.drop_carrier(shard, leaving)
    return leaving is old


def _replaces(new: Connection, old: Connection) -> bool:
    """Whether what works on the old connection works on the new one."""
    return new.session.is_connected and old.session.in_step() <= new.session.in_step()


async def rotate_when_old(fleets: Mapping[str, Fleet], after_s: float) -> None:
    """Exchange each connection once it is ``after_s`` old, one at a time, for ever."""
    while True:
        await asyncio.sleep(min(LOOK_S_MAX, after_s / 10))
        for fleet in list(fleets.values()):
            for shard in fleet.shards:
                for connection in fleet.carriers(shard)[:1]:
                    if connection.is_old and not await rotate(fleet, shard):
                        connection.postpone(RETRY_S)
