"""Running coroutines on the loop that production runs on, with a limit of time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result], timeout_s: float = 20) -> Result:
    """Run to the end on uvloop, within ``timeout_s`` seconds."""

    async def limited() -> Result:
        async with asyncio.timeout(timeout_s):
            return await main

    return uvloop.run(limited())
