"""All runs of one evening, their medians as tables, and the place of these in docs/performance.md."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.page import put_between

BEGIN = "<!-- python -m benchmarks.imap --write-docs writes from here -->"
END = "<!-- benchmarks.imap ends here -->"
DATA = "imap.json"
OURS = "postillon"
Wanted = tuple[str, str, int, bool]  # figure, heading, digits, whether to show how many times ours
TABLES: tuple[Wanted, ...] = (
    ("ms", "What a client waits, ms", 1, True),
    ("cpu", "CPU of the server, ms (for the last rows: of a session, of a delivery)", 1, True),
    ("kb", "Memory of one session that waits, KB (PSS of all processes)", 1, True),
    ("p50", "From the last octet of a delivery to EXISTS, median, ms", 1, False),
    ("p99", "The same, 99th percentile, ms", 1, False),
)  # fmt: skip


@dataclass(slots=True)
class Results:
    """`samples` by scenario and server, each run by figure; `failures` say why a pair has none."""

    machine: str
    taken_at: str
    messages: int
    size: int  # octets of them all
    busy: bool
    servers: list[tuple[str, str, str, str]] = field(default_factory=list)
    scenarios: list[tuple[str, str]] = field(default_factory=list)  # key, title
    samples: dict[str, dict[str, list[dict[str, float]]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, scenario: str, server: str, figures: dict[str, float]) -> None:
        self.samples.setdefault(scenario, {}).setdefault(server, []).append(figures)

    def median(self, scenario: str, server: str, figure: str) -> float | None:
        runs = self.samples.get(scenario, {}).get(server, [])
        values = [run[figure] for run in runs if figure in run]
        return statistics.median(values) if values else None

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = asdict(self)
        data["samples"] = {
            scenario: {
                server: [{key: float(f"{value:.4g}") for key, value in run.items()} for run in runs]
                for server, runs in servers.items()
            }
            for scenario, servers in self.samples.items()
        }
        path.write_text(json.dumps(data, indent=1) + "\n")


def tables(results: Results) -> str:
    return laid_out(results, _about(results), TABLES)


def laid_out(results: Results, about: str, wanted: Sequence[Wanted]) -> str:
    """What it is about, the tables, and what was not measured and why."""
    parts = [about]
    for figure, heading, digits, compared in wanted:
        if rows := _table(results, figure, digits, compared):
            parts.append(f"**{heading}**\n\n{rows}")
    if results.failures:
        lines = [f"* {where}: {why}" for where, why in results.failures.items()]
        parts.append("Not measured:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _about(results: Results) -> str:
    noise = (
        "**Other programs were running meanwhile: waiting times are wall time on a noisy machine;"
        " CPU is firmer.**"
        if results.busy
        else "Nothing else was running but the client, on the same cores."
    )
    return described(
        results,
        f"{results.messages:,} messages of {kilobytes(results)} KB in one mailbox", noise,
    )  # fmt: skip


def kilobytes(results: Results) -> str:
    """Of one message."""
    return f"{results.size / max(results.messages, 1) / 1024:.1f}"


def described(results: Results, mail: str, noise: str) -> str:
    """When, on what, with which mail; and the servers with their settings."""
    lines = [
        f"Taken {results.taken_at}, {results.machine}; {mail}, medians, the servers taking turns."
        f" {noise} In brackets: how many times Postillon's it is.",
        "",
        "| Server | Version | Settings |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {title} | {version} | {said} |" for _, title, version, said in results.servers]
    return "\n".join(lines)


def _table(results: Results, figure: str, digits: int, compared: bool) -> str:
    servers = [(key, title) for key, title, _, _ in results.servers]
    rows = []
    for key, title in results.scenarios:
        values = {server: results.median(key, server, figure) for server, _ in servers}
        if all(value is None for value in values.values()):
            continue
        own = values.get(OURS)
        cells = []
        for server, _ in servers:
            value = values[server]
            cell = "–" if value is None else f"{value:,.{digits if value < 100 else 0}f}"
            if compared and own and value is not None and server != OURS:
                cell += f" ({value / own:.1f})"
            cells.append(cell)
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    if not rows:
        return ""
    head = "| | " + " | ".join(title for _, title in servers) + " |"
    return "\n".join([head, "| --- |" + " --- |" * len(servers), *rows])


def write_docs(results: Results, docs: Path) -> None:
    """The data into docs/figures, the tables between the marks of performance.md."""
    results.save(docs / "figures" / DATA)
    put_between(docs, BEGIN, END, tables(results))
