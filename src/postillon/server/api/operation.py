"""An operation of the API: an ordinary typed function, from whose signature all the rest is read.

The names in braces of its path are parameters of the path; `body` is the JSON document of the request;
what else there is comes from the query. Types, defaults and the docstring make the OpenAPI document,
check what is sent, and say what is wrong with it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from postillon.server.api.office import Office

Call = Callable[..., Awaitable[object]]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1_000)]  # of what one answer lists
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
MAX_PROBLEMS = 20  # that one answer names


class Scope(Enum):
    """What a caller must be allowed to do."""

    READ = "admin:read"
    WRITE = "admin:write"


class Unfit(Exception):
    """A request that does not fit the operation: each problem names the parameter or field."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems[:MAX_PROBLEMS])


@dataclass(frozen=True, slots=True)
class Parameter:
    """place: path or query. many: may be given several times."""

    name: str
    place: str
    kind: Any  # a type as annotations have it
    required: bool
    default: object = None
    many: bool = False

    @property
    def public(self) -> str:
        """The name in the query: without the underscore that keeps it from being a keyword."""
        return self.name.rstrip("_")


@dataclass(frozen=True, slots=True)
class Operation:
    """Everything that the server and the document know of one operation."""

    name: str  # operationId
    method: str
    path: str  # below the prefix, with names in braces
    scope: Scope
    group: str
    summary: str
    about: str
    parameters: tuple[Parameter, ...]
    body: Any  # a dataclass, or None
    result: Any  # a type, or None where nothing is answered
    status: int
    call: Call

    async def run(
        self, office: Office, path: Mapping[str, str], query: Mapping[str, Sequence[str]], body: Any
    ) -> object:
        """body: decoded JSON, or None. Raises Unfit, or what the function refuses with."""
        return await self.call(office, **self.arguments(path, query, body))

    def arguments(
        self, path: Mapping[str, str], query: Mapping[str, Sequence[str]], body: Any
    ) -> dict[str, Any]:
        """What the function is called with. Raises Unfit."""
        problems: list[str] = []
        found: dict[str, Any] = {}
        known = {item.public for item in self.parameters if item.place == "query"}
        problems += [f"{name}: there is no such parameter" for name in query if name not in known]
        for item in self.parameters:
            given = [path[item.name]] if item.place == "path" else query.get(item.public, [])
            try:
                found[item.name] = _value(item, given)
            except ValueError as error:
                problems.append(f"{item.public}: {error}")
        if self.body is not None:
            try:
                found["body"] = fit(body, self.body)
            except Unfit as error:
                problems += error.problems
        if problems:
            raise Unfit(problems)
        return found


def operation(
    method: str, path: str, scope: Scope = Scope.READ, status: int = 200
) -> Callable[[Call], Operation]:
    """Make an operation of an async function `(office, *, …) -> result`."""

    def decorate(function: Call) -> Operation:
        hints = get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
        in_path = set(re.findall(r"{(\w+)}", path))
        found = []
        for name, parameter in signature.parameters.items():
            if name in ("office", "body"):
                continue
            kind = hints[name]
            many = get_origin(kind) is tuple
            required = parameter.default is inspect.Parameter.empty
            default = None if required else parameter.default
            place = "path" if name in in_path else "query"
            kind = get_args(kind)[0] if many else kind
            found.append(Parameter(name, place, kind, required, default, many))
        summary, _, about = (inspect.getdoc(function) or "").partition("\n\n")
        returned = hints.get("return")
        return Operation(
            name=getattr(function, "__name__", ""),
            method=method,
            path=path,
            scope=scope,
            group=path.split("/")[1],
            summary=" ".join(summary.split()),
            about=about,
            parameters=tuple(found),
            body=hints.get("body"),
            result=None if returned is type(None) else returned,
            status=204 if returned is type(None) else status,
            call=function,
        )

    return decorate


def fit(value: Any, kind: Any, place: str = "") -> Any:
    """Decoded JSON as a dataclass, with nothing left over. Raises Unfit."""
    if is_dataclass(kind) and isinstance(value, dict):
        problems = _names(value, kind, place)
        if problems:
            raise Unfit(problems)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Unfit([_said(error)]) from None
    except ValueError as error:  # a class that checks itself
        raise Unfit([str(error)]) from None


def _names(value: Mapping[str, object], kind: Any, place: str) -> list[str]:
    known = {field.name: field for field in fields(kind)}
    unknown = [f"{place}{name}: there is no such field" for name in value if name not in known]
    needed = [
        f"{place}{name}: is missing"
        for name, field in known.items()
        if name not in value and field.default is MISSING and field.default_factory is MISSING
    ]
    return unknown + needed


def _value(item: Parameter, given: Sequence[str]) -> Any:
    """Raises ValueError that says what is wrong."""
    if item.many:
        return tuple(_converted(text, item.kind) for text in given) or (item.default or ())
    if not given:
        if item.required:
            raise ValueError("is missing")
        return item.default
    if len(given) > 1:
        raise ValueError("is given more than once")
    return _converted(given[0], item.kind)


def _converted(text: str, kind: Any) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(_said(error)) from None


def _said(error: msgspec.ValidationError) -> str:
    """msgspec's words, with the place in front: "quota: Expected `int`, got `str`"."""
    text, _, place = str(error).partition(" - at `$")
    name = place.rstrip("`").lstrip(".")
    return f"{name}: {text}" if name else text
