"""A message as bytes: `write` spells it in all the ways RFC 8259 allows, `mutate` damages it."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

JUNK_TEXTS = (
    '""', '"x"', r'"\""', r'"\\"', r'"\u0000"', r'"\ud83d\ude00"', '"\u00e9\u4e2d\U0001f600"',
    r'"{\"topic\":1}"', '"]}"', r'"\/\b\f\n\r\t"', '"orderbook.50.BTCUSDT"', "null", "true", "false", "0",
    "-0", "-0.0", "1e5", "1E+5", "0.1e-7", "-12.50", "123456789012345678901234567890", "1e308", "-1e-400",
    "9223372036854775808",
)  # fmt: skip
BEYOND_DOUBLE = ("1e999", "-1E+400", "1" + "0" * 400)
JUNK_NAMES = ("", "x", "Topic", "topics", "type ", "u0", "seq2", "data.u", "\u00e9", "b\u0000", "id", "S")
SPACES = ("", "", "", " ", "\n", "\t", "\r\n", "  \t ")


@dataclass(frozen=True)
class Spelling:
    """How freely `write` spells; each is the chance per place."""

    spaces: float = 0.0
    escapes: float = 0.0
    junk: float = 0.0
    twice: float = 0.0
    shuffle: bool = True


PLAIN = Spelling(shuffle=False)
ORDERED_FREELY = Spelling()
WILD = Spelling(spaces=0.5, escapes=0.05, junk=0.25, twice=0.05)


def write(random: Random, message: object, spelling: Spelling) -> bytes:
    return Writer(random, spelling).any(message).encode()


class Writer:
    def __init__(self, random: Random, spelling: Spelling) -> None:
        self.random = random
        self.spelling = spelling

    def any(self, content: object) -> str:
        if isinstance(content, dict):
            text = self._object(content)
        elif isinstance(content, list):
            text = "[" + ",".join(self.any(element) for element in content) + (self._space() + "]")
        elif isinstance(content, str):
            text = self._string(content)
        else:
            text = json.dumps(content)
        return self._space() + text + self._space()

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability

    def _space(self) -> str:
        return self.random.choice(SPACES) if self._chance(self.spelling.spaces) else ""

    def _string(self, content: str) -> str:
        if not self._chance(self.spelling.escapes):
            return json.dumps(content, ensure_ascii=self.random.random() < 0.5)
        return '"' + "".join(self._escaped(character) for character in content) + '"'

    def _escaped(self, character: str) -> str:
        if self.random.random() < 0.5 or ord(character) > 0xFFFF:
            return json.dumps(character)[1:-1]
        digits = f"{ord(character):04x}"
        return "\\u" + (digits.upper() if self.random.random() < 0.5 else digits)

    def _object(self, content: dict[str, Any]) -> str:
        members = [(name, self.any(inner)) for name, inner in content.items()]
        if self.spelling.shuffle:
            self.random.shuffle(members)
        for name, _ in list(members):
            # The last of two members with one name counts: put the other one anywhere before it.
            if self._chance(self.spelling.twice):
                last = [entry[0] for entry in members].index(name)
                members.insert(self.random.randint(0, last), (name, self._junk(2)))
        while self._chance(self.spelling.junk):
            name = self.random.choice(JUNK_NAMES)
            if name not in content:
                members.insert(self.random.randint(0, len(members)), (name, self._junk(3)))
        texts = (self._space() + self._string(name) + self._space() + ":" + text for name, text in members)
        return "{" + (",".join(texts) or self._space()) + "}"

    def _junk(self, depth: int) -> str:
        choice = self.random.random()
        if depth == 0 or choice < 0.6:
            return self._space() + self.random.choice(JUNK_TEXTS)
        if choice < 0.61:
            return self.random.choice(BEYOND_DOUBLE)
        inner = [self._junk(depth - 1) for _ in range(self.random.randint(0, 3))]
        if choice < 0.8:
            return "[" + ",".join(inner) + self._space() + "]"
        names = ("topic", "data", "u", "b", "a", "s", "type", "x", "\u00e9")
        members = (f"{self._string(self.random.choice(names))}:{text}" for text in inner)
        return "{" + ",".join(members) + self._space() + "}"


TELLING_BYTES = b'"\\{}[]:,.-+eE0123456789 \t\n\x00\x1f\x7f\x80\xc0\xed\xff/un'


def mutate(random: Random, frame: bytes) -> bytes:
    """One to three small damages: bits flipped; bytes inserted, replaced, deleted, doubled; the end cut."""
    damaged = bytearray(frame)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not damaged:
            break
        at = random.randrange(len(damaged))
        length = random.choice((1, 1, 1, 2, 8))
        match random.randrange(7):
            case 0:
                damaged[at] ^= 1 << random.randrange(8)
            case 1:
                damaged.insert(at, random.choice(TELLING_BYTES))
            case 2:
                damaged[at] = random.choice(TELLING_BYTES)
            case 3:
                del damaged[at : at + length]
            case 4:
                damaged[at:at] = damaged[at : at + length]
            case 5:
                other = random.randrange(len(damaged))
                damaged[at], damaged[other] = damaged[other], damaged[at]
            case _:
                if random.random() < 0.2:
                    del damaged[at:]
                else:
                    damaged[at] = random.randrange(256)
    return bytes(damaged)
