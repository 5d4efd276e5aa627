"""Which SQL may be asked of a recording: one statement that reads our tables and nothing else.

The text is cut into tokens as ClickHouse cuts it; where its lexer and this one could differ (text beyond
ASCII, heredocs, escapes in names, `#` comments) the text is refused. Names are judged the same quoted.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from engine.errors import UsageError

__all__ = ["TABLE_FUNCTIONS_ADMITTED", "Admission", "RefusedError", "admit"]

QUERY_CHARACTERS_MAX: Final = 262_144

STATEMENTS: Final = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS")


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


TABLE_FUNCTIONS_ADMITTED: Final = frozenset(
    (
        "numbers",
        "numbers_mt",
        "zeros",
        "zeros_mt",
        "generateseries",
        "generate_series",
        "values",
        "view",
        "null",
        "format",
    )
)
# Statements and clauses that write or change something; as a bare word none of them is needed to read.
_WORDS_REFUSED: Final = _words(
    "ALTER ATTACH BACKUP CHECK CREATE DELETE DETACH DROP EXCHANGE EXECUTE GRANT INFILE INSERT INTO KILL MOVE",
    "OPTIMIZE OUTFILE PARALLEL RENAME REPLACE RESTORE REVOKE SET SETTINGS SYSTEM TRUNCATE UNDROP UPDATE",
    "USE WATCH",
)
# Functions that reach files, the network, models or the process, or that only burn time.
_NAMES_REFUSED: Final = _words(
    "file filecluster url urlcluster python executable remote remotesecure catboostevaluate",
    "modelevaluate reversednsquery addresstoline addresstolinewithinlines addresstosymbol showcertificate",
    "sleep sleepeachrow",
)
# In the embedded engine each file of the machine is a table of this database.
_DATABASES_REFUSED: Final = frozenset(("default",))

_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n\f\v]+ | --[^\n]* | /\*.*?\*/)
    | (?P<string>'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>"(?:[^"\\]|"")*" | `(?:[^`\\]|``)*`)
    | (?P<word>[A-Za-z0-9_]+)
    | (?P<mark>[()\[\]{}.,;:?+\-*/%=<>!|@^&])
    """,
    re.VERBOSE | re.DOTALL,
)


class RefusedError(UsageError):
    """A statement that is not admitted."""


@dataclass(frozen=True)
class Admission:
    """An admitted statement: its text without FORMAT and semicolon, and the format it named ("": none).

    `has_columns` says whether it is a SELECT, whose columns can be described.
    """

    sql: str
    format: str
    has_columns: bool


class _Token(NamedTuple):
    kind: str
    text: str
    end: int

    @property
    def name(self) -> str:
        """What a word or quoted name names, in lower case."""
        return (self.text[1:-1] if self.kind == "quoted" else self.text).lower()

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.upper() in words


def admit(sql: str, outward_functions: Collection[str]) -> Admission:
    """Admit one reading statement.

    Args:
        sql: the statement.
        outward_functions: names of the engine's table functions and of those of its functions that reach
            outside; they are refused, but for TABLE_FUNCTIONS_ADMITTED.

    Raises:
        RefusedError: says what is refused, and why.
    """
    if len(sql) > QUERY_CHARACTERS_MAX:
        raise RefusedError(f"statement was {len(sql)} characters long; {QUERY_CHARACTERS_MAX} are admitted")
    tokens = list(_tokens(sql))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens:
        raise RefusedError("statement was empty", "send one SELECT")
    first = next((token for token in tokens if token.text != "("), tokens[0])
    if not first.is_word(*STATEMENTS):
        raise RefusedError(f"statement began with {first.text!r}; {', '.join(STATEMENTS)} are admitted")
    functions = {name.lower() for name in outward_functions} - TABLE_FUNCTIONS_ADMITTED
    for index, token in enumerate(tokens):
        before = tokens[index - 1].text if index else ""
        after = tokens[index + 1].text if index + 1 < len(tokens) else ""
        _judge(token, before, after, functions, is_show=first.is_word("SHOW") and index == 1)
    named = ""
    if len(tokens) > 2 and tokens[-2].is_word("FORMAT") and tokens[-1].kind == "word":
        named = tokens[-1].text
        del tokens[-2:]
    return Admission(sql[: tokens[-1].end], named, first.is_word("SELECT", "WITH"))


def _tokens(sql: str) -> Iterator[_Token]:
    position = 0
    if "\0" in sql:
        raise RefusedError("statement held a zero character")
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise RefusedError(
                f"statement held {sql[position : position + 20]!r} at character {position + 1}: refused",
                "outside quotes use ASCII without $, # and backslash; close quotes and comments",
            )
        position = match.end()
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match.group(), position)


def _judge(token: _Token, before: str, after: str, functions: Collection[str], *, is_show: bool) -> None:
    if token.text == ";":
        raise RefusedError("more than one statement was sent", "send them one by one")
    if token.kind not in ("word", "quoted"):
        return
    name = token.name
    if name in _DATABASES_REFUSED:
        raise RefusedError(f"{token.text} was named; files of the machine are tables there", "leave it out")
    if name in _NAMES_REFUSED or (after == "(" and name in functions):
        raise RefusedError(f"function {token.text} is not admitted: it reaches outside the tables")
    if (
        token.kind == "word"
        and token.text.upper() in _WORDS_REFUSED
        and before != "."
        and after not in (".", "(")
    ):
        if is_show and token.is_word("CREATE", "SETTINGS"):
            return
        raise RefusedError(
            f"{token.text.upper()} is not admitted: a recording is only read",
            "put a column of that name in `backquotes`",
        )
