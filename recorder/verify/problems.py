"""What is wrong, one line each, and of which day and symbol."""

from typing import NamedTuple

__all__ = ["Problem"]


class Problem(NamedTuple):
    """One line; ``day`` (since 1970) is -1 and names are empty where it is of no symbol."""

    text: str
    day: int = -1
    category: str = ""
    symbol: str = ""
