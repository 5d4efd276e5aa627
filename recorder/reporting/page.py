"""The page of `tapehead report`: one file of HTML, SVG and CSS, which asks nobody for anything."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Any, Final

from recorder.reporting.plots import histogram_plot, rate_plot

__all__ = ["page"]

GAPS_SHOWN_MAX: Final = 5_000  # report.json has them all
PROBLEMS_SHOWN_MAX: Final = 1_000
MARKS: Final = {"verified": "✓", "suspect": "!", "missing": "\N{MULTIPLICATION SIGN}"}

NOTHING: Final = "\N{EN DASH}"

Cells = Sequence[object]


def page(values: dict[str, Any]) -> str:
    """Return the page of what `recorder.reporting.report.numbers` says."""
    style = resources.files("recorder.reporting").joinpath("report.css").read_text(encoding="utf-8")
    script = resources.files("recorder.reporting").joinpath("report.js").read_text(encoding="utf-8")
    body = "\n".join(
        (
            _head(values),
            _problems(values["problems"]),
            *(_recorder(one) for one in values["recorders"]),
            _gaps(values["recorders"]),
            _sizes(values),
            _reproduce(values),
        )
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What was recorded</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
<script>
{script}</script>
</body>
</html>
"""


def _head(values: dict[str, Any]) -> str:
    problems = len(values["problems"])
    word = "All that is there is right." if values["is_right"] else f"{problems} problems."
    names = ", ".join(one["recorder"] for one in values["recorders"])
    return f"<h1>What was recorded</h1>\n<p class=lead><b>{word}</b> Recorders: {escape(names)}.</p>"


def _problems(problems: list[str]) -> str:
    if not problems:
        return ""
    lines = "\n".join(f"<li>{escape(problem)}</li>" for problem in problems[:PROBLEMS_SHOWN_MAX])
    rest = len(problems) - PROBLEMS_SHOWN_MAX
    more = f"<p>and {rest} more, see report.json</p>" if rest > 0 else ""
    return f"<h2>Problems</h2>\n<ul class=problems>\n{lines}\n</ul>{more}"


def _recorder(one: dict[str, Any]) -> str:
    days = [day for day in one["days"] if day["symbol"]]
    clock = one["clock"]
    ahead = (
        f"at most {clock['ahead_ms_max']:g} ms ahead of the venue's (by {clock['by']}),"
        f" set {clock['steps']} times"
        if clock["ahead_ms_max"] is not None
        else "not known"
    )
    facts = [
        ("frames", one["frames"] or None),
        ("records", one["records"] or None),
        ("whole books compared", one["snapshots"]),
        ("books equal at the end", f"{one['books_equal']} of {one['books_compared']}"),
        ("clock", ahead),
    ]
    shown = "".join(f"<dt>{escape(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts)
    parts = [
        f"<section>\n<h2>Recorder {escape(one['recorder'])}</h2>",
        f"<dl>{shown}</dl>",
        _notes(one["sources"]),
        "<h3>Coverage</h3>",
        _grid(days),
        "<h3>By day and symbol</h3>",
        _days(days),
        "<h3>Messages a second; gaps are shaded</h3>",
        rate_plot(one["rates"], one["gaps"]),
        "<h3>How late messages came</h3>",
        *(histogram_plot(name, counts) for name, counts in one["latency_histograms"].items()),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _notes(sources: dict[str, Any]) -> str:
    notes = [
        *(f"segments {first} to {last} have expired" for first, last, _ in sources["expired"]),
        *(f"segments {first} to {last} were dropped: no room" for first, last, _ in sources["dropped"]),
        *(f"segments {first} to {last} are not compared: no state" for first, last in sources["uncompared"]),
    ]
    return f"<p>{escape('; '.join(notes))}.</p>" if notes else ""


def _grid(days: list[dict[str, Any]]) -> str:
    dates = sorted({day["day"] for day in days})
    symbols = sorted({(day["category"], day["symbol"]) for day in days})
    known = {(day["category"], day["symbol"], day["day"]): day for day in days}
    head = "".join(f"<th scope=col>{date}</th>" for date in dates)
    rows = []
    for category, symbol in symbols:
        cells = "".join(_cell(known.get((category, symbol, date))) for date in dates)
        rows.append(f"<tr><th scope=row>{escape(category)} {escape(symbol)}</th>{cells}</tr>")
    legend = " ".join(f"<span class={name}>{mark} {name}</span>" for name, mark in MARKS.items())
    return (
        _scrolled(
            f"<table class=grid><thead><tr><th></th>{head}</tr></thead><tbody>\n"
            + "\n".join(rows)
            + "\n</tbody></table>"
        )
        + f"<p class=legend>{legend} (choose one to see its gaps)</p>"
    )


def _cell(day: dict[str, Any] | None) -> str:
    if day is None:
        return "<td></td>"
    said = (
        f"{day['day']} {day['symbol']}: {day['verdict']}, verified {_percent(day['verified_pct'])},"
        f" clean {_percent(day['clean_pct'])}"
    )
    return (
        f'<td><button class={day["verdict"]} data-filter="{escape(day["symbol"])}" title="{escape(said)}"'
        f' aria-label="{escape(said)}">{MARKS[day["verdict"]]}</button></td>'
    )


def _days(days: list[dict[str, Any]]) -> str:
    columns = (
        *("day", "category", "symbol", "verdict", "frames", "frames/s", "rows", "verified", "clean"),
        *("gap s", "ts p50 ms", "p90", "p99", "p99.9", "cts p50 ms", "p90", "p99", "p99.9"),
    )
    return _table(
        columns,
        (
            [
                *(day["day"], day["category"], day["symbol"], day["verdict"], day["frames"]),
                *(day["frames_per_s"], sum(day["rows"].values())),
                *(_percent(day["verified_pct"]), _percent(day["clean_pct"]), round(day["gap_s"], 3)),
                *_quantiles(day["recv_ts"]),
                *_quantiles(day["recv_cts"]),
            ]
            for day in days
        ),
    )


def _gaps(recorders: list[dict[str, Any]]) -> str:
    gaps = [(one["recorder"], gap) for one in recorders for gap in one["gaps"]]
    columns = ("recorder", "start", "end", "category", "topic", "cause", "fault", "missing", "detail")
    shown = (
        [
            *(recorder, gap["start"], gap["end"] or "open", gap["category"], gap["topic"]),
            *(gap["cause"], gap["fault"], gap["missing"], gap["detail"]),
        ]
        for recorder, gap in gaps[:GAPS_SHOWN_MAX]
    )
    rest = len(gaps) - GAPS_SHOWN_MAX
    more = f"<p>and {rest} more, see report.json</p>" if rest > 0 else ""
    return (
        f"<h2>Gaps</h2>\n<p><label>Only those with <input id=filter type=search></label>"
        f" <output id=shown>{min(len(gaps), GAPS_SHOWN_MAX)}</output> shown</p>\n"
        + _table(columns, shown, "id=gaps")
        + more
    )


def _sizes(values: dict[str, Any]) -> str:
    sizes = values["sizes"]
    rows = [("spool", None, sizes["spool_bytes"], None)]
    rows += [
        (one["table"], one["rows"], one["compressed_bytes"], one["uncompressed_bytes"])
        for one in sizes["tables"]
    ]
    versions = _table(("of", "version"), values["versions"].items())
    shown = _table(("what", "rows", "bytes on disk", "bytes"), rows)
    return f"<h2>Sizes</h2>\n{shown}\n<h2>Versions</h2>\n{versions}"


def _reproduce(values: dict[str, Any]) -> str:
    rows = ((one["number"], one["command"]) for one in values["commands"])
    inputs = "".join(
        f"<li>{escape(one['recorder'])}: {one['sources']['segments']} segments, SHA-256 of their hashes"
        f" <code>{one['sources']['inputs'] or 'no spool'}</code></li>"
        for one in values["recorders"]
    )
    return (
        "<h2>How to find these numbers again</h2>\n<p>DIR is the folder of the recording.</p>\n"
        + _table(("number", "command"), rows, "class=commands")
        + f"\n<h3>Inputs</h3>\n<ul>{inputs}</ul>"
    )


def _table(columns: Cells, rows: Iterable[Cells], attributes: str = "") -> str:
    head = "".join(f"<th scope=col>{_text(column)}</th>" for column in columns)
    lines = "\n".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return _scrolled(f"<table {attributes}><thead><tr>{head}</tr></thead><tbody>\n{lines}\n</tbody></table>")


def _scrolled(table: str) -> str:
    return f'<div class=scroll tabindex=0 role=region aria-label="table">{table}</div>'


def _quantiles(latency: dict[str, Any] | None) -> list[object]:
    return [None] * 4 if latency is None else [latency[name] for name in ("p50", "p90", "p99", "p999")]


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{share:g} %"


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return NOTHING if value is None else escape(str(value))
