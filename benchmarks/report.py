"""Shows what a benchmark found: tables on the terminal, or as Markdown between two marks of a page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rich.box
import rich.table
from rich.console import Console

from benchmarks.harness import Facts


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def number(value: float) -> str:
    """Three figures that matter, so that 0.0123 and 1234 both read well."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def spread_text(spread: Facts) -> str:
    return f"{number(spread['median'])} ({number(spread['min'])}-{number(spread['max'])})"


def headline(facts: Facts) -> str:
    where = facts["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"{facts['benchmark']}: {where['python']}, {where['cpu']}, {where['cores']} cores, "
        f"{where['system']}, load average {where['load_average_1min']} at the start; {libraries}; "
        f"median (min-max) of rounds: {facts['rounds']}"
    )


def goals_table(facts: Facts) -> Table:
    rows = [
        (
            item["goal"],
            f"{'at most' if item['at_most'] else 'at least'} {number(item['limit'])}",
            number(item["value"]),
            "reached" if item["reached"] else "NOT reached",
        )
        for item in facts["goals"]
    ]
    return Table("goals", ("ratio", "goal", "measured", ""), rows)


def show(facts: Facts, tables: Sequence[Table], console: Console) -> None:
    console.print(headline(facts), highlight=False)
    for table in [*tables, goals_table(facts)]:
        if not table.rows:
            continue
        drawn = rich.table.Table(title=table.title, title_justify="left", box=rich.box.SIMPLE)
        for index, column in enumerate(table.columns):
            drawn.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)


def markdown(facts: Facts, tables: Sequence[Table], taken_on: str) -> str:
    parts = [f"Taken on {taken_on}. {headline(facts)}."]
    for table in [*tables, goals_table(facts)]:
        if table.rows:
            parts += [f"**{table.title}**", markdown_table(table)]
    return "\n\n".join(parts)


def markdown_table(table: Table) -> str:
    lines = ["| " + " | ".join(table.columns) + " |", "|---|" + "---:|" * (len(table.columns) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    return "\n".join(lines)


def write_between_marks(page: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME begin -->` and `<!-- NAME end -->` in a page."""
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    old = page.read_text()
    new, found = re.subn(
        f"({re.escape(begin)}).*?({re.escape(end)})",
        lambda hit: f"{hit[1]}\n{text}\n{hit[2]}",
        old,
        flags=re.DOTALL,
    )
    if found != 1:
        raise ValueError(f"{page} has {found} blocks {begin} ... {end}; it needs exactly one")
    page.write_text(new)
