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


TABLE_FUNCTIONS_ADMITTED: Final = _words(
    "numbers numbers_mt zeros zeros_mt generateseries generate_series values view null"
)
# What clients ask of the engine; the others show paths, users, other queries, or stop threads (stack_trace).
SYSTEM_TABLES_ADMITTED: Final = _words(
    "aggregate_function_combinators asynchronous_metrics build_options collations columns completions",
    "constraints data_skipping_indices data_type_families databases errors events formats functions keywords",
    "licenses merge_tree_settings merges metrics mutations numbers numbers_mt one parts parts_columns",
    "processes projections settings table_engines table_functions tables time_zones warnings zeros zeros_mt",
)
# Statements and clauses that write or change something; as a bare word none of them is needed to read.
_WORDS_REFUSED: Final = _words(
    "ALTER ATTACH BACKUP CHECK CREATE DELETE DETACH DROP EXCHANGE EXECUTE GRANT INFILE INSERT INTO KILL MOVE",
    "OPTIMIZE OUTFILE PARALLEL RENAME REPLACE RESTORE REVOKE SET SETTINGS SYSTEM TRUNCATE UNDROP UPDATE",
    "USE WATCH",
)
# Some of them are functions too, with their arguments in parentheses.
_WORDS_AS_FUNCTIONS: Final = _words("REPLACE TRUNCATE")
# Functions that reach files, the network, models, dictionaries, tables by the text of their name or the
# process, or that only burn time. A name is enough: `arrayMap(file, ...)` calls it.
_NAMES_REFUSED: Final = _words(
    "file filecluster filesystem url urlcluster python executable remote remotesecure eval",
    "catboostevaluate modelevaluate evalmlmethod reversednsquery addresstoline addresstolinewithinlines",
    "addresstosymbol showcertificate hascolumnintable joinget joingetornull getserversetting getmacro",
    "getclienthttpheader generateserialid logtrace fuzzquery filesystemavailable filesystemcapacity",
    "filesystemunreserved sleep sleepeachrow",
)
_PREFIXES_REFUSED: Final = ("dictget", "dicthas", "dictisin", "naivebayes", "regionto", "mergetreepart")
# In the embedded engine each file of the machine is a table of this database.
_DATABASES_REFUSED: Final = frozenset(("default",))

_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n\f\v]+ | --[^\n]* | /\*.*?\*/)
    | (?P<string>'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>"(?:[^"\\]|"")*" | `(?:[^`\\]|``)*`)
    | (?P<word>[A-Za-z0-9_]+)
    | (?P<mark>[()\[\]{}.,;:?+\-*%=<>!|@^&] | /(?!\*))
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
        _judge(token, _Around(tokens, index), functions, is_show=first.is_word("SHOW"))
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


class _Around(NamedTuple):
    """The tokens before and after one."""

    tokens: list[_Token]
    place: int

    def text(self, offset: int) -> str:
        at = self.place + offset
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def is_called(self) -> bool:
        return self.text(1) == "("

    def is_part_of_name(self) -> bool:
        """Whether it is a column of something, or has one; `1. SETTINGS` is a number and a clause."""
        if self.text(1) == ".":
            return True
        return self.text(-1) == "." and re.match(r"[A-Za-z_\"`)\]]", self.text(-2)) is not None


def _judge(token: _Token, around: _Around, functions: Collection[str], *, is_show: bool) -> None:
    if token.text == ";":
        raise RefusedError("more than one statement was sent", "send them one by one")
    if token.kind not in ("word", "quoted"):
        return
    name = token.name
    if name in _DATABASES_REFUSED:
        raise RefusedError(f"{token.text} was named; files of the machine are tables there", "leave it out")
    if name == "identifier" and around.text(-1) == ":" and around.text(-3) == "{":
        raise RefusedError("a parameter was an Identifier: what it names cannot be judged", "write the name")
    if name == "system" and around.text(1) == ".":
        _judge_system_table(around)
    if _is_outward(name, around, functions):
        raise RefusedError(f"function {token.text} is not admitted: it reaches outside the tables")
    if token.kind == "word" and token.text.upper() in _WORDS_REFUSED:
        _judge_word(token, around, is_show=is_show)


def _judge_system_table(around: _Around) -> None:
    table = around.text(2).strip('`"').lower()
    if table not in SYSTEM_TABLES_ADMITTED:
        raise RefusedError(
            f"system.{table} is not admitted", f"these are: {', '.join(sorted(SYSTEM_TABLES_ADMITTED))}"
        )


def _is_outward(name: str, around: _Around, functions: Collection[str]) -> bool:
    if name in _NAMES_REFUSED or name.startswith(_PREFIXES_REFUSED):
        return True
    # Of the engine's: those of models (ai...) are scalar, and a name alone can call them.
    return name in functions and (around.is_called() or name.startswith("ai"))


def _judge_word(token: _Token, around: _Around, *, is_show: bool) -> None:
    word = token.text.upper()
    if around.is_part_of_name() or (word in _WORDS_AS_FUNCTIONS and around.is_called()):
        return
    if is_show and around.place == 1 and word in ("CREATE", "SETTINGS"):
        return
    if is_show and word == "SYSTEM" and around.text(-1).upper() in ("FROM", "IN"):
        return
    raise RefusedError(
        f"{word} is not admitted: a recording is only read", "put a column of that name in `backquotes`"
    )
