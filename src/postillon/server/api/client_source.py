"""The source of the Python client, made from the operations: src/postillon/client/operations.py.

`python -m postillon.server.api.client_source` prints it; a test compares it with the file in the tree.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin

from postillon.server.api.operation import Operation, Parameter
from postillon.server.api.registry import OPERATIONS

HEAD = '''"""The operations of the API as methods: made by `postillon.server.api.client_source`."""

from __future__ import annotations

'''
BUILT_IN = {"builtins", "types"}


def source() -> str:
    """The module as text, formatted as the rest of the tree."""
    kinds = [kind for item in OPERATIONS for kind in _kinds(item)]
    named = sorted({(kind.__module__, kind.__name__) for kind in kinds})
    modules: dict[str, list[str]] = {"postillon.client.connection": ["Connection"]}
    for module, name in named:
        modules.setdefault(module, []).append(name)
    imports = ["from types import NoneType\n\n"]
    imports += [
        f"from {module} import {', '.join(modules[module])}\n" for module in sorted(modules)
    ]
    lines = [HEAD, *imports, "\n\nclass Client(Connection):\n"]
    lines.append('    """All operations of the API. Each raises ApiError where it is refused."""\n')
    for item in OPERATIONS:
        lines += ["\n", *_method(item)]
    return "".join(lines)


def _kinds(item: Operation) -> Iterator[type]:
    for kind in (item.body, item.result, *(parameter.kind for parameter in item.parameters)):
        yield from _parts(kind)


def _parts(kind: Any) -> Iterator[type]:  # Any: an annotation of whatever shape
    if get_origin(kind) is Annotated:
        yield from _parts(get_args(kind)[0])
    elif get_args(kind):
        for part in get_args(kind):
            yield from _parts(part)
    elif isinstance(kind, type) and kind.__module__ not in BUILT_IN:
        yield kind


def _method(item: Operation) -> Iterator[str]:
    result = "None" if item.result is None else _written(item.result)
    places = [parameter for parameter in item.parameters if parameter.place == "path"]
    asked = [parameter for parameter in item.parameters if parameter.place == "query"]
    heads = ["self", *(f"{parameter.name}: {_written(parameter.kind)}" for parameter in places)]
    if item.body is not None:
        heads.append(f"body: {_written(item.body)}")
    if asked:
        heads += ["*", *(_keyword(parameter) for parameter in asked)]
    yield f"    def {item.name}({', '.join(heads)}) -> {result}:\n"
    yield f'        """{item.summary}"""\n'
    given = [f'"{item.method}"', f'"{item.path}"', "NoneType" if item.result is None else result]
    if places:
        names = ", ".join(f'"{parameter.name}": {_text(parameter)}' for parameter in places)
        given.append(f"names={{{names}}}")
    if asked:
        query = ", ".join(f'"{parameter.public}": {parameter.name}' for parameter in asked)
        given.append(f"query={{{query}}}")
    if item.body is not None:
        given.append("body=body")
    call = f"self.call({', '.join(given)})"
    yield f"        {'' if item.result is None else 'return '}{call}\n"


def _text(parameter: Parameter) -> str:
    """An expression that is text, as what stands in a path must be."""
    return parameter.name if parameter.kind is str else f"str({parameter.name})"


def _keyword(parameter: Parameter) -> str:
    kind = f"tuple[{_written(parameter.kind)}, ...]" if parameter.many else _written(parameter.kind)
    return (
        f"{parameter.name}: {kind}{'' if parameter.required else f' = {_shown(parameter.default)}'}"
    )


def _shown(value: object) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _written(kind: Any) -> str:  # Any: as above
    origin = get_origin(kind)
    if origin is Annotated:
        return _written(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return " | ".join(_written(part) for part in get_args(kind))
    if origin is not None:
        inner = ", ".join("..." if part is ... else _written(part) for part in get_args(kind))
        return f"{origin.__name__}[{inner}]"
    return "None" if kind is type(None) else str(kind.__name__)


if __name__ == "__main__":
    sys.stdout.write(source())
