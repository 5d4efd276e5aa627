"""What holds for every test: one seed that repeats the run, and no error that only a log has seen."""

import asyncio
import secrets
import sys
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

settings.register_profile(
    "tapehead",
    deadline=None,
    derandomize=False,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tapehead")

LOOPS = (asyncio.BaseEventLoop, uvloop.Loop)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: repeat this run with --hypothesis-seed={config.option.hypothesis_seed}"


@pytest.fixture
def random(request: pytest.FixtureRequest) -> Random:
    """A generator of the test's own: its numbers depend on the run's seed and the test's name alone."""
    seed = f"{request.config.option.hypothesis_seed} {request.node.nodeid}"
    print(f"random numbers of: {seed}")
    return Random(seed)


@pytest.fixture(autouse=True)
def unhandled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fail the test when anything reaches an event loop's exception handler or `sys.unraisablehook`.

    A test that provokes such an error on purpose asserts on this list and clears it.
    """
    errors: list[str] = []

    def note_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        errors.append(f"exception handler of {loop!r}: {context!r}")

    def note_unraisable(unraisable: Any) -> None:
        errors.append(f"unraisable in {unraisable.object!r}: {unraisable.exc_value!r}")

    handler: Callable[..., None] = note_loop_error
    for loop_class in LOOPS:
        monkeypatch.setattr(loop_class, "call_exception_handler", handler)
    monkeypatch.setattr(sys, "unraisablehook", note_unraisable)
    yield errors
    if errors:
        pytest.fail("errors that nobody handled:\n" + "\n".join(errors))
