"""Plots of the page as SVG: bars of how late messages came, and a line of messages a second."""

from html import escape
from typing import Any, Final

__all__ = ["histogram_plot", "rate_plot"]

WIDTH: Final = 720
HEIGHT: Final = 160
BOTTOM: Final = 24  # for labels
MIN_PX: Final = 1.5  # of what is shaded, so that it is seen
NAMES: Final = {"recv_ts": "after the venue's gateway", "recv_cts": "after the matching engine"}


def histogram_plot(name: str, counts: list[dict[str, Any]]) -> str:
    """Return bars of (below so many ms, messages)."""
    total = sum(one["messages"] for one in counts)
    if not total:
        return ""
    most = max(one["messages"] for one in counts)
    step = WIDTH / len(counts)
    bars = []
    for place, one in enumerate(counts):
        height = (HEIGHT - BOTTOM) * one["messages"] / most
        bound = "more" if one["below_ms"] is None else f"<{one['below_ms']}"
        share = 100 * one["messages"] / total
        bars.append(
            f"<g><title>{escape(bound)} ms: {one['messages']} ({share:.2f} %)</title>"
            f'<rect x="{place * step + 1:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{step - 2:.1f}"'
            f' height="{height:.1f}"/>'
            f'<text x="{(place + 0.5) * step:.1f}" y="{HEIGHT - 8}">{escape(bound)}</text></g>'
        )
    title = f"ms {NAMES[name]}, {total} messages"
    return _figure(title, "".join(bars))


def rate_plot(rates: dict[str, Any], gaps: list[dict[str, Any]]) -> str:
    """Return a line of messages a second; the time of gaps is shaded."""
    counts = rates["messages"]
    if not counts:
        return ""
    start_ns, end_ns = rates["start_ns"], rates["start_ns"] + rates["width_ns"] * len(counts)
    scale = WIDTH / max(1, end_ns - start_ns)
    shades = []
    for gap in gaps:
        left = (max(gap["start_ns"], start_ns) - start_ns) * scale
        right = (min(gap["end_ns"] or end_ns, end_ns) - start_ns) * scale
        if right < 0 or left > WIDTH:
            continue
        said = f"{gap['topic']}: {gap['cause']} ({gap['fault']}) {gap['start']} to {gap['end'] or 'open'}"
        shades.append(
            f'<rect class=shade x="{left:.1f}" y="0" width="{max(MIN_PX, right - left):.1f}"'
            f' height="{HEIGHT - BOTTOM}"><title>{escape(said)}</title></rect>'
        )
    most = max(counts) or 1
    step = WIDTH / len(counts)
    points = " ".join(
        f"{(place + 0.5) * step:.1f},{(HEIGHT - BOTTOM) * (1 - count / most):.1f}"
        for place, count in enumerate(counts)
    )
    line = f'<polyline points="{points}"/>'
    labels = (
        f'<text class=first x="0" y="{HEIGHT - 8}">{escape(rates["start"])}</text>'
        f'<text class=last x="{WIDTH}" y="{HEIGHT - 8}">{escape(rates["end"])}</text>'
    )
    highest = most * 1e9 / rates["width_ns"]
    return _figure(f"up to {highest:,.1f} messages a second", "".join(shades) + line + labels)


def _figure(title: str, content: str) -> str:
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role=img aria-label="{escape(title)}">{content}</svg>'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )
