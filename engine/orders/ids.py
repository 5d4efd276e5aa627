"""orderLinkIds that are never given twice: who we are, which start this is, a number."""

import os
import re
from pathlib import Path
from typing import Final

from engine.errors import ConfigError, UsageError
from ext.order_frame import LinkIds

__all__ = ["LINK_ID_MAX", "Intents", "next_boot"]

LINK_ID_MAX: Final = 36  # characters, of [A-Za-z0-9_-]
INSTANCE_MAX: Final = 12
BOOTS_MAX: Final = 36**6 - 1

_INSTANCE: Final = re.compile(rf"[A-Za-z0-9]{{1,{INSTANCE_MAX}}}", re.ASCII)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class Intents:
    """Gives every intent its orderLinkId: ``INSTANCE-BOOT-NUMBER``, boot and number in base 36.

    ``instance`` tells two programs of one account apart; ``boot`` is how often this one was started
    (`next_boot`). ``numbers`` gives the same ids to the fast path: one row of numbers for both.
    """

    def __init__(self, instance: str, boot: int) -> None:
        if not _INSTANCE.fullmatch(instance):
            rule = f"an instance has 1 to {INSTANCE_MAX} letters and digits"
            raise ConfigError("instance", instance, rule, "use something like 'bot1'")
        if not 0 < boot <= BOOTS_MAX:
            raise ConfigError("boot", boot, f"a start is numbered 1 to {BOOTS_MAX}")
        self.instance = instance
        self.prefix = f"{instance}-"
        self.numbers = LinkIds(f"{instance}-{base36(boot)}-")

    def next(self) -> str:
        """Return an orderLinkId that was never returned before, by this or an earlier start."""
        try:
            return self.numbers.text(self.numbers.take())
        except OverflowError as error:
            raise UsageError(str(error), "start again") from error

    def is_to_come(self, link_id: str) -> bool:
        """Whether `next` or the fast path will give this id, and has not yet."""
        prefix = self.numbers.prefix
        digits = link_id.removeprefix(prefix)
        is_number = digits.isascii() and digits.isalnum() and link_id.startswith(prefix)
        return is_number and int(digits, 36) > self.numbers.number

    def is_ours(self, link_id: str) -> bool:
        """Whether an order was sent by this instance, now or in an earlier start."""
        return link_id.startswith(self.prefix)


def next_boot(path: Path) -> int:
    """Count this start in a file and return its number; it is on disk before this returns.

    Raises UsageError where the file is no such counter (nothing is changed then), OSError.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        text = "0"
    except UnicodeDecodeError:
        text = ""
    if not text.isdecimal():
        raise UsageError(
            f"{path} is no counter of starts", "name another file, or put the last number into it"
        )
    boot = int(text) + 1
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="ascii") as file:
        file.write(f"{boot}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return boot


def base36(number: int) -> str:
    """Return a number, not negative, in digits 0-9 a-z."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
