"""The results as a picture: bars by scenario and server, in SVG, without any library."""

from __future__ import annotations

from html import escape

from benchmarks.peers.results import Results

WIDTH = 960
LABEL, NUMBER = 190, 70  # room left and right of the bars
BAR, GAP, TITLE, MARGIN = 14, 4, 30, 16
COLUMN = WIDTH // 2
OURS_COLOUR, OTHERS_COLOUR = "#1f6f8b", "#b8b8b8"
FONT = "font-family='system-ui, sans-serif'"
PANELS = (("rate", "messages a second", 0), ("cpu", "CPU ms per message", 2))


def plot(results: Results, ours: str) -> str:
    """Two columns, messages a second and CPU per message; each scenario on a scale of its own."""
    parts: list[str] = []
    y = MARGIN
    for key, title in results.scenarios:
        servers = [
            (server.key, server.title)
            for server in results.servers
            if results.median(key, server.key, "rate") is not None
        ]
        if not servers:
            continue
        for column, (figure, unit, digits) in enumerate(PANELS):
            x = column * COLUMN
            parts.append(_text(x + MARGIN, y + 16, f"{title}: {unit}", "bold"))
            values = [results.median(key, server, figure) or 0.0 for server, _ in servers]
            for row, ((server, name), value) in enumerate(zip(servers, values, strict=True)):
                top = y + TITLE + row * (BAR + GAP)
                share = value / (max(values) or 1.0)
                colour = OURS_COLOUR if server == ours else OTHERS_COLOUR
                parts += _bar(x, top, name, share, f"{value:,.{digits}f}", colour)
        y += TITLE + len(servers) * (BAR + GAP) + MARGIN
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{y}'"
        f" viewBox='0 0 {WIDTH} {y}'>\n<rect width='{WIDTH}' height='{y}' fill='white'/>\n"
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def _bar(x: int, top: int, name: str, share: float, number: str, colour: str) -> list[str]:
    room = COLUMN - LABEL - NUMBER - MARGIN
    length = max(1.0, room * share)
    return [
        _text(x + LABEL - 6, top + BAR - 3, name, anchor="end"),
        f"<rect x='{x + LABEL}' y='{top}' width='{length:.1f}' height='{BAR}' fill='{colour}'/>",
        _text(round(x + LABEL + length + 5), top + BAR - 3, number),
    ]


def _text(x: int, y: int, text: str, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f"<text x='{x}' y='{y}' {FONT} font-size='12' font-weight='{weight}'"
        f" text-anchor='{anchor}'>{escape(text)}</text>"
    )
