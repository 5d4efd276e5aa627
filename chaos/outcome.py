"""What a long run found."""

from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Outcome"]

FAILURES_MAX: Final = 10


@dataclass(slots=True)
class Outcome:
    """Figures of a run, and what went wrong: nothing, in a good one."""

    name: str
    figures: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def fail(self, what: str) -> None:
        """Note what is wrong."""
        if len(self.failures) < FAILURES_MAX:
            self.failures.append(what)
