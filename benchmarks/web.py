"""What the web client costs a browser that comes for the first time, and how it goes on.

    python -m benchmarks.web                           # 50,000 messages, 7 visits; two minutes
    python -m benchmarks.web --scroll 500000           # also moves through so many rows; five minutes
    python -m benchmarks.web --visits 1 --waterfall    # what is asked for, and when

A real Chromium before the real server on loopback. Each visit has a new profile that knows nothing but
the cookie of a signed-in session, and a processor so many times slower (`--slower`). Times are counted
from the start of the navigation to what its owner sees: `usable` is when a row lies where it is drawn,
so that a click meets it, and the browser has painted it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from playwright.sync_api import sync_playwright  # noqa: E402

from benchmarks.search import message, vocabulary  # noqa: E402
from postillon.account.arriving import ToAppend  # noqa: E402
from postillon.account.roles import INBOX_ID  # noqa: E402
from postillon.admin.desk import Desk  # noqa: E402
from postillon.directory.principals import PrincipalKind  # noqa: E402
from postillon.mail.mime import scan  # noqa: E402
from support.browser import chromium, missing  # noqa: E402
from support.server import PASSWORD, Server  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

READER, HOARDER = "ada@example.org", "bob@example.net"  # bob has the many rows
AT_ONCE = 1_000  # messages of one transaction
TEXT = 60  # words of a message
WIDE = {"width": 1280, "height": 800}
BIG_STEP = 40  # places of the whole list that the scroll bar is dragged to
SMALL_STEPS = 120  # turns of the wheel
LONGEST_MS = 60_000
USABLE = {"/": ".row:not(.loading)", "/admin": ".charts .chart"}

# Runs before any script of the page: a functional part of it, that only looks.
WATCH = """
(() => {
  const seen = (window.__seen = { shift: 0, shifts: [], usable: 0, busy: 0 });
  const each = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take))
    .observe({ type, buffered: true });
  each("layout-shift", (entry) => {
    if (entry.hadRecentInput) return;
    const moved = entry.sources.map(({ node }) => node && (node.className || node.nodeName));
    seen.shift += entry.value;
    seen.shifts.push([Math.round(entry.startTime), entry.value, moved.join(" ")]);
  });
  each("longtask", (entry) => (seen.busy += entry.duration));
  window.__usable = new Promise((resolve) => {
    const met = (found) => {
      const box = found.getBoundingClientRect();
      return found.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
    };
    const look = () => {
      const found = document.querySelector(%s);
      if (!found || !met(found)) return requestAnimationFrame(look);
      requestAnimationFrame(() => setTimeout(() => resolve((seen.usable = performance.now()))));
    };
    requestAnimationFrame(look);
  });
})();
"""
TOLD = """() => {
  const of = (kind) => performance.getEntriesByType(kind);
  const first = of("paint").find((one) => one.name === "first-contentful-paint");
  return {
    ...window.__seen, fcp: first?.startTime ?? 0,
    files: [...of("navigation"), ...of("resource")].map((one) => ({
      name: one.name.replace(location.origin, ""), begin: one.startTime, first: one.responseStart,
      end: one.responseEnd, octets: one.encodedBodySize,
    })),
  };
}"""
# From the answer with the message to the frame that shows it, as the page sees both.
OPENED = """() => new Promise((resolve) => {
  const look = () => {
    const paper = document.querySelector("article.message iframe.paper")?.contentDocument;
    if (!paper?.querySelector(".flow")?.textContent.trim()) return requestAnimationFrame(look);
    requestAnimationFrame(() => setTimeout(() => {
      const all = performance.getEntriesByType("resource");
      const asked = all.filter((one) => one.name.endsWith("/jmap/api"));
      resolve(performance.now() - asked.at(-1).responseEnd);
    }));
  };
  look();
})"""
SETTLED = """() => new Promise((resolve) => {
  const look = () => document.querySelector(".row.loading") ? requestAnimationFrame(look) : resolve();
  requestAnimationFrame(look);
})"""
DRAGGED = """(box, part) => {
  box.scrollTop = part * (box.scrollHeight - box.clientHeight);
}"""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.web", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--messages", type=int, default=50_000, help="in the mailbox (50,000)")
    parser.add_argument("--visits", type=int, default=7, help="of each page (7)")
    parser.add_argument("--slower", type=float, default=4, help="of the processor (4 times)")
    parser.add_argument("--scroll", type=int, default=0, help="rows of a list to move through")
    parser.add_argument("--waterfall", action="store_true", help="what was asked for, of one visit")
    parser.add_argument("--folder", type=Path, help="keep the mail here for the next run")
    parser.add_argument("--save", type=Path, help="file for the figures as JSON")
    return parser.parse_args()


def main() -> None:
    given = options()
    if why := missing():
        sys.exit(f"This needs a browser: {why}.")
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        server = filled(folder, given.messages, given.scroll)
        with server, sync_playwright() as playwright:
            print(f"load of the machine: {os.getloadavg()[0]:.1f}")
            browser = playwright.chromium.launch(
                executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            figures = {name: visits(browser, server, name, given) for name in ("/", "/admin")}
            if given.scroll:
                figures["scroll"] = scroll(browser, server, given.scroll)
            browser.close()
    if given.save:
        given.save.write_text(json.dumps(figures, indent=1))


# Mail


def filled(folder: Path, messages: int, rows: int) -> Server:
    """A server whose accounts hold the mail; what an earlier run has laid there is used again."""
    fresh = not (folder / "data").exists()
    server = Server(
        folder, protocols=("http",), log_level=None, settings={"search": "index = false"}
    )
    if fresh:
        began = time.perf_counter()
        wanted = {READER: messages, HOARDER: rows}
        asyncio.run(server.ask(lambda store: fill(Desk.over(store, server.config.auth), wanted)))
        print(f"{messages + rows:,} messages, filled in {time.perf_counter() - began:.0f} s")
    return server


async def fill(desk: Desk, wanted: dict[str, int]) -> None:
    await desk.directory.update(READER, admin=True)
    choice = random.Random(1)
    words = vocabulary(choice)
    common = list(accumulate(1 / (n + 1) for n in range(len(words))))
    texts = [choice.choices(words, cum_weights=common, k=TEXT) for _ in range(2_000)]
    now = int(time.time() * 1000)
    for login, number in wanted.items():
        owner = await desk.directory.require(login, PrincipalKind.PERSON)
        account = desk.accounts.open(owner.id)
        for start in range(0, number, AT_ONCE):
            some = []
            for n in range(start, min(start + AT_ONCE, number)):
                content = message(n, choice, texts[n % len(texts)])
                at_ms = now - (number - n) * 60_000
                some.append(ToAppend(content, scan(content), int(n % 4 != 0), received_at=at_ms))
            await account.append_many(INBOX_ID, some)


# Visits


def visits(
    browser: Browser, server: Server, path: str, given: argparse.Namespace
) -> dict[str, Any]:
    base = f"http://{server.host}:{server.port('http')}"
    found: list[dict[str, Any]] = []
    for number in range(given.visits + 1):  # the first one warms the server, and is not counted
        context = browser.new_context(viewport=WIDE, locale="en-GB")  # type: ignore[arg-type]
        context.set_default_timeout(LONGEST_MS)
        said = context.request.post(
            f"{base}/auth/session", data={"login": READER, "password": PASSWORD}
        )
        assert said.ok, said.text()
        page = context.new_page()
        page.add_init_script(WATCH % json.dumps(USABLE[path]))
        slow = context.new_cdp_session(page)
        slow.send("Emulation.setCPUThrottlingRate", {"rate": given.slower})
        page.goto(base + path, wait_until="commit")
        page.evaluate("window.__usable")
        if path == "/":
            page.wait_for_timeout(500)  # what comes late shall not be counted to the opening
        told = page.evaluate(TOLD)
        if path == "/":
            told["opening"] = opening(page)
        if number:
            found.append(told)
        context.close()
    if given.waterfall:
        waterfall(found[-1])
    return report(path, found)


def opening(page: Page) -> float:
    page.locator(".row:not(.loading)").nth(3).click()
    return float(page.evaluate(OPENED))


def report(path: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def median(name: str) -> float:
        return statistics.median(one[name] for one in found)

    def octets(one: dict[str, Any], suffix: str) -> int:
        return sum(file["octets"] for file in one["files"] if file["name"].endswith(suffix))

    last = found[-1]
    before = [file for file in last["files"] if file["begin"] < last["usable"]]
    figures: dict[str, Any] = {
        "first paint, ms": median("fcp"),
        "usable, ms": median("usable"),
        "usable, worst, ms": max(one["usable"] for one in found),
        "long tasks, ms": median("busy"),
        "requests until usable": len(before),
        "octets of scripts": octets(last, ".js"),
        "octets of styles": octets(last, ".css"),
        "layout shift": max(one["shift"] for one in found),
    }
    if "opening" in last:
        figures["conversation after its data, ms"] = median("opening")
    print(f"\n{path}, {len(found)} visits")
    for name, value in figures.items():
        print(f"  {name:<34} {value:12,.3f}" if value < 1 else f"  {name:<34} {value:12,.0f}")
    for shift in last["shifts"]:
        print(f"  shift at {shift[0]} ms by {shift[1]:.4f}: {shift[2]}")
    return figures


def waterfall(told: dict[str, Any]) -> None:
    print("\n  begin  first    end  octets")
    for file in told["files"]:
        print(
            f"  {file['begin']:5.0f}  {file['first']:5.0f}  {file['end']:5.0f} {file['octets']:7,}"
            f"  {file['name']}"
        )


# Rows


def scroll(browser: Browser, server: Server, rows: int) -> dict[str, Any]:
    """By the wheel and by the bar: how many requests, and how long until rows stand there again."""
    base = f"http://{server.host}:{server.port('http')}"
    context = browser.new_context(viewport=WIDE, locale="en-GB")  # type: ignore[arg-type]
    context.set_default_timeout(LONGEST_MS)
    context.request.post(f"{base}/auth/session", data={"login": HOARDER, "password": PASSWORD})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/jmap/api") else None)
    page.goto(base)
    page.locator(".row:not(.loading)").first.wait_for()
    page.wait_for_timeout(1_000)
    asked.clear()
    grid = page.locator(".rows")
    grid.hover()
    for _ in range(SMALL_STEPS):
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(16)
    page.evaluate(SETTLED)
    wheel = {"rows": SMALL_STEPS * 600 // 78, "requests": len(asked)}
    asked.clear()
    waits = []
    for step in range(1, BIG_STEP + 1):
        began = time.perf_counter()
        part = step / BIG_STEP
        grid.evaluate(DRAGGED, part)
        page.wait_for_timeout(20)
        page.evaluate(SETTLED)
        waits.append((time.perf_counter() - began) * 1000)
    last = page.locator(".row").last.get_attribute("aria-rowindex")
    context.close()
    figures = {
        "rows": rows,
        "last row shown": int(last or 0),
        "rows by the wheel": wheel["rows"],
        "requests by the wheel": wheel["requests"],
        "jumps": BIG_STEP,
        "requests by jumps": len(asked),
        "rows there after a jump, ms": statistics.median(waits),
        "at worst, ms": max(waits),
    }
    print(f"\n{rows:,} rows")
    for name, value in figures.items():
        print(f"  {name:<34} {value:12,.0f}")
    return figures


if __name__ == "__main__":
    main()
