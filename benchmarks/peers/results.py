"""All runs of one evening: kept as JSON, read as medians."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmarks.peers.scenarios import Sample


@dataclass(slots=True)
class Server:
    """One column: who was measured, and how it was set."""

    key: str
    title: str
    version: str
    settings: str


@dataclass(slots=True)
class Results:
    """`samples` by scenario and server; `failures` say why a pair has none."""

    machine: str
    taken_at: str
    busy: bool  # whether other programs ran meanwhile
    seconds: float  # of load in one run
    servers: list[Server] = field(default_factory=list)
    scenarios: list[tuple[str, str]] = field(default_factory=list)  # key, title
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, scenario: str, server: str, sample: Sample) -> None:
        self.samples.setdefault(scenario, {}).setdefault(server, []).append(sample)

    def median(self, scenario: str, server: str, figure: str) -> float | None:
        """The median of a field of the samples; None where there is none."""
        runs = self.samples.get(scenario, {}).get(server, [])
        values = [value for run in runs if (value := getattr(run, figure)) is not None]
        return statistics.median(values) if values else None

    def rounds(self) -> int:
        """How many runs stand behind every figure, at least."""
        return min((len(runs) for runs in self._runs()), default=0)

    def _runs(self) -> Iterator[list[Sample]]:
        for servers in self.samples.values():
            yield from servers.values()

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_rounded(asdict(self)), indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> Results:
        data = json.loads(path.read_text())
        known = {item.name for item in fields(Sample)}
        data["servers"] = [Server(**server) for server in data["servers"]]
        data["scenarios"] = [(key, title) for key, title in data["scenarios"]]
        data["samples"] = {
            scenario: {
                server: [Sample(**{k: v for k, v in run.items() if k in known}) for run in runs]
                for server, runs in servers.items()
            }
            for scenario, servers in data["samples"].items()
        }
        return Results(**data)


def _rounded(value: Any) -> Any:  # Any: JSON
    """Four digits are more than these measurements hold."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
