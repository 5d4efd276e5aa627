"""Running coroutines the way production does, with nothing that goes wrong in the background unnoticed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result], timeout_s: float = 20, *, expected: str = "") -> Result:
    """Run to the end on uvloop; fail for whatever but `expected` reached the loop's exception handler."""

    async def guarded() -> Result:
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with asyncio.timeout(timeout_s):
            result = await main
        assert [problem for problem in problems if problem["message"] != expected] == []
        return result

    return uvloop.run(guarded())
