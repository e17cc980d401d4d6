"""Run a fuzz target for some time: its kept corpus, then mutations of it.

    python tests/fuzz/run.py smtp_server --seconds 60
    python tests/fuzz/run.py all --seconds 10

A target is a module beside this one with `one(data: bytes)`, which raises only on a fault, and `SEEDS`.
Inputs that reach new lines of our code are kept in corpus/TARGET while the run lasts, and in the
folder with --keep; an input that failed is always kept there, as `fault-…`, until it is mended.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"
SOURCE = str(ROOT / "src" / "postillon")
MAX_INPUT = 4_096  # octets; longer inputs are cut
SLOW_S = 2.0  # an input that takes longer is a fault too (FAULTS 24)
TOKENS = (
    *(b"\r\n", b"\r", b"\n", b"\0", b".", b"\r\n.\r\n", b" ", b"<", b">", b'"', b"\\", b"(", b")"),
    *(b"{", b"}", b"=", b"?", b"*", b"%", b"\xff", b"\xc3\xa4", b"0", b"-1", b"4294967296"),
)


class Coverage:
    """The lines of our code that have run, by the interpreter's trace."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self.fresh = False

    def trace(self, frame, event, argument):
        name = frame.f_code.co_filename
        if not name.startswith(SOURCE):
            return None
        return self._line

    def _line(self, frame, event, argument):
        place = (frame.f_code.co_filename, frame.f_lineno)
        if place not in self.seen:
            self.seen.add(place)
            self.fresh = True
        return self._line


def mutated(data: bytes, corpus: list[bytes], chance: random.Random) -> bytes:
    octets = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        place = chance.randint(0, len(octets))
        match chance.randrange(7):
            case 0:
                octets[place:place] = chance.choice(TOKENS)
            case 1:
                octets[place:place] = bytes([chance.randrange(256)])
            case 2 if octets:
                octets[place % len(octets)] = chance.randrange(256)
            case 3:
                del octets[place : place + chance.randint(1, 16)]
            case 4:
                end = place + chance.randint(1, 32)
                octets[place:place] = octets[place:end] * chance.randint(1, 8)
            case 5:
                other = chance.choice(corpus)
                start = chance.randint(0, len(other))
                octets[place:place] = other[start : start + chance.randint(1, 64)]
            case 6:
                other = chance.choice(corpus)
                octets[place:] = other[chance.randint(0, len(other)) :]
    return bytes(octets[:MAX_INPUT])


def attempt(one: Callable[[bytes], None], data: bytes) -> str:
    """ "" or what went wrong."""
    began = time.process_time()
    try:
        one(data)
    except Exception:  # whatever it is, it is what we look for
        return traceback.format_exc()
    took = time.process_time() - began
    return f"took {took:.1f} s" if took > SLOW_S else ""


def run(target: str, seconds: float, seed: int, keep: bool) -> int:
    """The number of faults found."""
    module = importlib.import_module(target)
    folder = CORPUS / target
    kept = [path.read_bytes() for path in sorted(folder.glob("*"))] if folder.is_dir() else []
    corpus = [*getattr(module, "SEEDS", ()), *kept] or [b""]
    chance = random.Random(seed)
    coverage = Coverage()
    faults: dict[str, bytes] = {}
    runs, until, todo = 0, time.monotonic() + seconds, list(corpus)
    while todo or time.monotonic() < until:
        data = todo.pop() if todo else mutated(chance.choice(corpus), corpus, chance)
        traced = runs % 8 == 0 or bool(todo)  # tracing costs much; most inputs teach nothing new
        if traced:
            coverage.fresh = False
            sys.settrace(coverage.trace)
        try:
            problem = attempt(module.one, data)
        finally:
            sys.settrace(None)
        runs += 1
        if problem:
            place = problem.strip().splitlines()[-3] if "\n" in problem else problem
            if place not in faults:
                faults[place] = data
                save(folder, b"fault-", data)
                print(f"{target}: {data!r}\n{problem}", flush=True)
        elif traced and coverage.fresh:
            corpus.append(data)
            if keep:
                save(folder, b"", data)
    print(f"{target}: {runs} inputs, {len(coverage.seen)} lines, {len(faults)} faults", flush=True)
    return len(faults)


def save(folder: Path, prefix: bytes, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = prefix.decode() + hashlib.sha256(data).hexdigest()[:16]
    (folder / name).write_bytes(data)


def targets() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help="a module of this folder, or all")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep inputs that reach new lines")
    options = parser.parse_args()
    sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "src")]
    chosen = targets() if options.target == "all" else [options.target]
    return min(sum(run(name, options.seconds, options.seed, options.keep) for name in chosen), 99)


if __name__ == "__main__":
    sys.exit(main())
