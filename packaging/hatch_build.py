"""Builds the web client into wheel and sdist.

Node.js is asked for through `dependencies()` and not in `build-system.requires`: it is fetched only
where a build needs it. An unpacked sdist already carries the result: who installs from it needs none.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _webmail(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("webmail", root / "packaging" / "webmail.py")
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class WebmailHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def _needed(self) -> bool:
        root = Path(self.root)
        webmail = _webmail(root)
        if os.environ.get(webmail.SKIP) == "skip":
            return False
        built = (webmail.output(root) / "index.html").exists()
        return not (built and ((root / "PKG-INFO").exists() or webmail.current(root)))

    def dependencies(self) -> list[str]:
        webmail = _webmail(Path(self.root))
        if not self._needed() or webmail.system_node() is not None:
            return []
        return [webmail.NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """version: "editable" for a checkout that is used in place, where `./demo` builds."""
        if version != "editable" and self._needed():
            _webmail(Path(self.root)).build(Path(self.root))
