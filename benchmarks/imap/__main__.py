"""Postillon beside other IMAP servers, in one command. Needs root, for namespaces and users.

    python -m benchmarks.imap --quick                # four minutes
    python -m benchmarks.imap --write-docs           # the whole, into docs/performance.md
    python -m benchmarks.imap --scenarios meta,sort-date --servers postillon,dovecot --rounds 5

Every server has the same mail, which came by APPEND, and takes its turn in every scenario; the others
are up meanwhile and have nothing to do. They come as packages of the distribution, unpacked into a
cache and never installed; one that cannot be had is left out and named.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.imap.mail import Writer  # noqa: E402
from benchmarks.imap.report import Results, tables, write_docs  # noqa: E402
from benchmarks.imap.scenarios import SCENARIOS, Bench, Scenario, fill  # noqa: E402
from benchmarks.imap.servers import SERVERS, Server, Unpacked  # noqa: E402
from benchmarks.peers.__main__ import machine  # noqa: E402
from benchmarks.peers.cell import machine_busy  # noqa: E402
from benchmarks.peers.ground import Unavailable, packages, passing_folder, settle_in  # noqa: E402


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.imap", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer messages and scenarios, one round"
    )
    return common(parser, [item.key for item in SCENARIOS], [kind.key for kind in SERVERS])


def common(
    parser: argparse.ArgumentParser, scenarios: Sequence[str], servers: Sequence[str]
) -> argparse.Namespace:
    """What every such comparison can be told, and what it does when it is not."""
    parser.add_argument("--scenarios", help=",".join(scenarios))
    parser.add_argument("--servers", help=",".join(servers))
    parser.add_argument("--rounds", type=int, help="runs of each pair (3; quick: 1)")
    parser.add_argument("--messages", type=int, help="in the mailbox (50,000; quick: 10,000)")
    parser.add_argument("--folder", type=Path, help="where the mail lies for the run")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "postillon-peers",
        help="where packages, and what else can be used again, are kept between runs",
    )  # fmt: skip
    parser.add_argument("--save", type=Path, help="file for the results as JSON")
    parser.add_argument("--write-docs", action="store_true", help="tables into docs/")
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.messages = given.messages or (10_000 if given.quick else 50_000)
    return given


def chosen(given: argparse.Namespace) -> list[Scenario]:
    keys = given.scenarios.split(",") if given.scenarios else None
    return [
        item
        for item in SCENARIOS
        if (item.key in keys if keys is not None else item.quick or not given.quick)
    ]


def kinds(given: argparse.Namespace) -> list[type[Server]]:
    keys = given.servers.split(",") if given.servers else None
    return [kind for kind in SERVERS if (kind.key in keys if keys is not None else kind.usual)]


def run(given: argparse.Namespace, folder: Path) -> Results:
    bench = Bench(list(Writer().messages(given.messages)))
    results = Results(
        machine(), datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"), given.messages,
        sum(map(len, bench.mail)), machine_busy(),
    )  # fmt: skip
    servers: list[Server] = []
    with ExitStack() as open_:
        for kind in kinds(given):
            try:
                server = kind(folder, given.cache)
                open_.callback(server.close)
                server.start()
                results.add("fill", server.key, said("fill", server, fill(bench, server)))
                servers.append(server)
            except (Unavailable, OSError, RuntimeError) as error:
                results.failures[kind.title] = str(error)[-300:]
                print(f"{kind.key}: {error}", file=sys.stderr, flush=True)
        results.servers = [(s.key, s.title, s.version(), s.settings) for s in servers]
        results.scenarios = [("fill", "APPEND of all, 100 in one command")]
        for scenario in chosen(given):
            results.scenarios.append((scenario.key, scenario.title))
            measure(given, bench, results, servers, scenario)
    results.busy |= machine_busy()
    return results


def measure(
    given: argparse.Namespace,
    bench: Bench,
    results: Results,
    servers: list[Server],
    scenario: Scenario,
) -> None:
    """All rounds of one scenario, the servers taking turns."""
    for _ in range(min(scenario.rounds or given.rounds, given.rounds)):
        for server in servers:
            where = f"{server.title}, {scenario.title}"
            if where in results.failures or not server.can(scenario.restart, scenario.sessions):
                continue
            try:
                prepare(server, scenario)
                figures = scenario.measure(bench, server)
            except (Unavailable, OSError, RuntimeError) as error:
                results.failures[where] = str(error)[-300:]
                print(f"{where}: {error}\n{server.words()[-6000:]}", file=sys.stderr, flush=True)
                server.halt()
                server.start()
            else:
                results.add(scenario.key, server.key, said(scenario.key, server, figures))


def prepare(server: Server, scenario: Scenario) -> None:
    indexed = scenario.restart == "index"
    if scenario.restart in ("cold", "fresh") or indexed != server.indexed:
        server.halt()
        if scenario.restart == "cold":
            server.forget()
        server.start(indexed=indexed)


def said(scenario: str, server: Server, figures: dict[str, float]) -> dict[str, float]:
    words = "  ".join(f"{value:10.1f} {key}" for key, value in figures.items())
    print(f"{time.strftime('%H:%M:%S')} {scenario:15} {server.key:10} {words}", flush=True)
    return figures


def fetches(given: argparse.Namespace) -> list[Callable[[], object]]:
    """What gets the packages of the servers that come in such."""
    return [
        partial(packages, kind.packages, given.cache)
        for kind in kinds(given)
        if issubclass(kind, Unpacked)
    ]


def main() -> None:
    given = options()
    settle_in("benchmarks.imap", given.folder, fetches(given))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with passing_folder("postillon-imap-", given.folder) as folder:
        results = run(given, folder)
    print(tables(results))
    if given.save:
        results.save(given.save)
    if given.write_docs:
        write_docs(results, ROOT / "docs")


if __name__ == "__main__":
    main()
