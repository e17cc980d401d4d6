"""Arguments that are taken from the result of an earlier call (RFC 8620 section 3.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from postillon.protocol.jmap.errors import MethodError, invalid_arguments
from postillon.protocol.jmap.request import Call

MAX_FOUND = 100_000  # values that one reference may lead to; ours


def resolve(arguments: Mapping[str, Any], earlier: Sequence[Call]) -> dict[str, Any]:
    """The arguments with every "#name" replaced. earlier: the responses so far, in order.

    Raises MethodError: invalidArguments where a name stands with and without "#", and
    invalidResultReference.
    """
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if not name.startswith("#"):
            found[name] = value
            continue
        plain = name[1:]
        if plain in arguments:
            raise invalid_arguments(f"{plain} is given twice, once as a reference", [plain])
        found[plain] = _find(value, earlier)
    return found


def pointed(value: Any, path: str) -> Any:
    """What a JSON pointer leads to, with "*" for each item of an array. Raises LookupError."""
    if path == "":
        return value
    if not path.startswith("/"):
        raise LookupError(path)
    return _walk(value, [token_of(part) for part in path[1:].split("/")])


def token_of(part: str) -> str:
    """RFC 6901 section 4."""
    return part.replace("~1", "/").replace("~0", "~")


def _find(reference: Any, earlier: Sequence[Call]) -> Any:
    if not isinstance(reference, dict) or not all(
        isinstance(reference.get(name), str) for name in ("resultOf", "name", "path")
    ):
        raise _invalid("a reference has resultOf, name and path")
    wanted = reference["resultOf"]
    response = next((item for item in earlier if item.call_id == wanted), None)
    if response is None:
        raise _invalid(f"no call before this one has the id {wanted[:100]}")
    if response.name != reference["name"]:
        raise _invalid(f"the response to {wanted[:100]} is {response.name}")
    try:
        return pointed(response.arguments, reference["path"])
    except LookupError:
        raise _invalid(f"{reference['path'][:100]} leads nowhere in {response.name}") from None


def _invalid(description: str) -> MethodError:
    return MethodError("invalidResultReference", description)


def _walk(value: Any, tokens: Sequence[str]) -> Any:
    for n, token in enumerate(tokens):
        if isinstance(value, dict):
            value = value[token]
        elif not isinstance(value, list):
            raise LookupError(token)
        elif token == "*":
            return _each(value, tokens[n + 1 :])
        elif token.isascii() and token.isdigit() and (token == "0" or token[0] != "0"):
            value = value[int(token)]
        else:
            raise LookupError(token)
    return value


def _each(values: Sequence[Any], rest: Sequence[str]) -> list[Any]:
    """Results that are arrays themselves are joined to one."""
    found: list[Any] = []
    for value in values:
        result = _walk(value, rest)
        if isinstance(result, list):
            found += result
        else:
            found.append(result)
        if len(found) > MAX_FOUND:
            raise LookupError("*")
    return found
