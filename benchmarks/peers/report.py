"""The results as tables for people, and their place in docs/performance.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.page import put_between
from benchmarks.peers.plot import plot
from benchmarks.peers.results import Results

FIGURES = "figures"
PLOT = "peers.svg"
DATA = "peers.json"
BEGIN = "<!-- python -m benchmarks.peers --write-docs writes from here -->"
END = "<!-- to here -->"
OURS = "postillon"
# Field of a sample, its heading, digits, whether to show how many times ours it is, what better means.
TABLES = (
    ("rate", "Messages a second, accepted and in the mailbox (or at the sink)", 0, "fewer"),
    ("cpu", "CPU per message, ms", 2, "more"),
    ("disk", "Octets that reached the disk per octet of mail", 1, ""),
    ("written", "Octets written per octet of mail, as the processes' own accounting has it", 1, ""),
    ("memory", "Memory at its highest, MB (PSS)", 0, ""),
    ("p50", "End of content to 250, median, ms", 1, ""),
    ("p99", "The same, 99th percentile, ms", 1, ""),
)


def tables(results: Results) -> str:
    """All tables and what stands with them, in Markdown."""
    parts = [_about(results)]
    for figure, heading, digits, compared in TABLES:
        if figure == "disk" and results.busy:
            continue  # the disk's own count knows no programs
        parts.append(f"**{heading}**\n\n{_table(results, figure, digits, compared)}")
    if results.failures:
        lines = [f"* {where}: {why}" for where, why in results.failures.items()]
        parts.append("Not measured:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _about(results: Results) -> str:
    lines = [
        f"Taken {results.taken_at}, {results.machine}; {results.seconds:g} s of load in each run,"
        f" medians of {results.rounds()} or more, the servers taking turns.",
        "**Other programs were running meanwhile: take ratios, and those with caution.**"
        if results.busy
        else "Nothing else was running but the load generator, on the same cores.",
        "",
        "| Server | Version | Settings |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {server.title} | {server.version} | {server.settings} |" for server in results.servers
    ]
    return "\n".join(lines)


def _table(results: Results, figure: str, digits: int, compared: str) -> str:
    servers = [
        server
        for server in results.servers
        if any(results.median(key, server.key, figure) for key, _ in results.scenarios)
    ]
    rows = [
        "| Scenario | " + " | ".join(server.title for server in servers) + " |",
        "| --- |" + " --- |" * len(servers),
    ]
    for key, title in results.scenarios:
        own = results.median(key, OURS, figure)
        cells = []
        for server in servers:
            value = results.median(key, server.key, figure)
            cells.append("–" if value is None else f"{value:,.{_digits(value, digits)}f}")
            if compared and own and value and server.key != OURS:
                times = own / value if compared == "fewer" else value / own
                cells[-1] += f" ({times:.1f})"
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    note = {
        "fewer": "\n\nIn brackets: how many times as many Postillon delivers.",
        "more": "\n\nIn brackets: how many times Postillon's it is.",
    }
    return "\n".join(rows) + note.get(compared, "")


def _digits(value: float, digits: int) -> int:
    """One more for small values, so that they do not all read the same."""
    return digits + 1 if value < 10 and digits == 0 else digits


def write_docs(results: Results, docs: Path) -> None:
    """Data and plot into docs/figures, the tables between the marks of performance.md."""
    figures = docs / FIGURES
    results.save(figures / DATA)
    (figures / PLOT).write_text(plot(results, OURS))
    picture = f"![Messages a second and CPU per message, by server]({FIGURES}/{PLOT})"
    put_between(docs, BEGIN, END, f"{picture}\n\n{tables(results)}")
