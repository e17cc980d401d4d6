"""Lighthouse's judgement of the web client: performance, accessibility, best practices.

    python -m benchmarks.lighthouse               # three runs of each page; four minutes
    python -m benchmarks.lighthouse --runs 1 --findings

Lighthouse comes by npm into a cache outside the checkout, once. Its Chromium is that of the system,
without a window, before the real server on loopback; each page is visited as Lighthouse's phone and
desktop do it, without a session and with the cookie of one. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from playwright.sync_api import sync_playwright  # noqa: E402

from benchmarks.web import READER, filled  # noqa: E402
from support.browser import chromium, missing  # noqa: E402
from support.server import HOST, PASSWORD, free_ports  # noqa: E402

PACKAGE = "lighthouse@13"
CATEGORIES = ("performance", "accessibility", "best-practices")
METRICS = (
    ("first-contentful-paint", "first paint, ms"),
    ("largest-contentful-paint", "largest paint, ms"),
    ("total-blocking-time", "blocked, ms"),
    ("cumulative-layout-shift", "layout shift"),
)
PAGES = (("/", False), ("/", True), ("/admin", False), ("/admin", True))  # whether signed in
FORMS = {"phone": [], "desktop": ["--preset=desktop"]}
LONGEST_S = 180


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lighthouse", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--runs", type=int, default=3, help="of each page (3)")
    parser.add_argument("--messages", type=int, default=2_000, help="in the mailbox (2,000)")
    parser.add_argument("--findings", action="store_true", help="name what costs points")
    parser.add_argument("--forms", default="phone,desktop", help="phone,desktop")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "postillon-lighthouse",
        help="where Lighthouse is kept between runs",
    )  # fmt: skip
    return parser.parse_args()


def main() -> None:
    given = options()
    if why := missing():
        sys.exit(f"This needs a browser: {why}.")
    program = installed(given.cache)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with filled(folder / "server", given.messages, 0) as server:
            base = f"http://{server.host}:{server.port('http')}"
            print(f"load of the machine: {os.getloadavg()[0]:.1f}")
            for form in given.forms.split(","):
                for path, signed_in in PAGES:
                    runs = [
                        judged(program, folder / f"{form}{number}", base, path, form, signed_in)
                        for number in range(given.runs)
                    ]
                    told(f"{path}, {'signed in' if signed_in else 'signed out'}, {form}", runs)
                    if given.findings:
                        findings(runs[-1])


def installed(cache: Path) -> Path:
    """Its program; fetched where it is not there yet."""
    program = cache / "node_modules" / ".bin" / "lighthouse"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("This needs npm.")
        cache.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([npm, "install", "--prefix", str(cache), PACKAGE, *quiet], check=True)
    return program


def judged(
    program: Path, folder: Path, base: str, path: str, form: str, signed_in: bool
) -> dict[str, Any]:
    """Lighthouse's report. The browser has a profile of its own, with nothing in it but a cookie."""
    [port] = free_ports(1)
    profile = folder / f"{path.strip('/') or 'mail'}-{signed_in}"
    browser = subprocess.Popen(
        [
            str(chromium()), "--headless=new", "--no-sandbox", "--disable-dev-shm-usage",
            f"--remote-debugging-port={port}", f"--user-data-dir={profile}", "--no-first-run",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        sign_in(port, base if signed_in else "")
        done = subprocess.run(
            [
                str(program), base + path, f"--port={port}", "--output=json", "--quiet",
                f"--only-categories={','.join(CATEGORIES)}", "--disable-storage-reset", *FORMS[form],
            ],
            capture_output=True, text=True, timeout=LONGEST_S, check=True,
        )  # fmt: skip
    finally:
        browser.terminate()
        browser.wait()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def sign_in(port: int, base: str) -> None:
    """Waits for the browser; gives it the cookie of a session at `base`, if there is one."""
    with sync_playwright() as playwright:
        for _ in range(100):
            try:
                browser = playwright.chromium.connect_over_cdp(f"http://{HOST}:{port}")
                break
            except Exception:  # it has not opened its port yet
                time.sleep(0.1)
        else:
            sys.exit("The browser did not start.")
        if base:
            said = browser.contexts[0].request.post(
                f"{base}/auth/session", data={"login": READER, "password": PASSWORD}
            )
            assert said.ok, said.text()


def told(title: str, runs: list[dict[str, Any]]) -> None:
    scores = ", ".join(
        f"{name} {statistics.median(run['categories'][name]['score'] or 0 for run in runs) * 100:.0f}"
        for name in CATEGORIES
    )
    figures = ", ".join(
        f"{name} {statistics.median(run['audits'][key]['numericValue'] for run in runs):.3g}"
        for key, name in METRICS
    )
    print(f"{title}: {scores}\n    {figures}")


def findings(report: dict[str, Any]) -> None:
    for category in CATEGORIES:
        for item in report["categories"][category]["auditRefs"]:
            audit = report["audits"][item["id"]]
            if audit["score"] is None or audit["score"] >= 0.9:
                continue
            print(
                f"    {category}: {audit['id']}: {audit['title']} {audit.get('displayValue', '')}"
            )
            for detail in (audit.get("details") or {}).get("items", [])[:4]:
                print(f"        {json.dumps(detail)[:300]}")


if __name__ == "__main__":
    main()
