"""The recorder: capture into a spool, load into ClickHouse, and the ``tapehead`` command."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recorder.tape.tape import Tape

__all__ = ["Tape", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `Tape` when it is asked for: most of the recorder has no use for it."""
    if name != "Tape":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from recorder.tape.tape import Tape

    return Tape
