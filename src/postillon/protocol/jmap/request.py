"""A JMAP request: what it uses, its calls, the ids that earlier ones created (RFC 8620 section 3.3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from postillon.protocol.jmap import ijson
from postillon.protocol.jmap.errors import RequestError
from postillon.protocol.jmap.kinds import WrongType, identifier, map_of


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the core capability tells clients (section 2). Sizes in octets."""

    max_size_upload: int = 50 * 1024 * 1024
    max_concurrent_upload: int = 8
    max_size_request: int = 10 * 1024 * 1024
    max_concurrent_requests: int = 8
    max_calls_in_request: int = 32
    max_objects_in_get: int = 4096
    max_objects_in_set: int = 4096

    def as_json(self) -> dict[str, Any]:
        return {
            "maxSizeUpload": self.max_size_upload,
            "maxConcurrentUpload": self.max_concurrent_upload,
            "maxSizeRequest": self.max_size_request,
            "maxConcurrentRequests": self.max_concurrent_requests,
            "maxCallsInRequest": self.max_calls_in_request,
            "maxObjectsInGet": self.max_objects_in_get,
            "maxObjectsInSet": self.max_objects_in_set,
        }


class Call(msgspec.Struct, frozen=True):
    """One invocation (section 3.2)."""

    name: str
    arguments: dict[str, Any]
    call_id: str


class Request(msgspec.Struct, frozen=True):
    """created_ids: None where the client gave none, and then none are returned."""

    using: frozenset[str]
    calls: tuple[Call, ...]
    created_ids: dict[str, str] | None


def parse(octets: bytes, known: Collection[str], limits: Limits) -> Request:
    """Read a request. known: the capabilities of this server. Raises RequestError."""
    if len(octets) > limits.max_size_request:
        raise exceeded("maxSizeRequest")
    try:
        value = ijson.decode(octets)
    except ijson.NotIJson as error:
        raise RequestError("notJSON", f"The request is no I-JSON: {error}") from None
    return read(value, known, limits)


def read(value: Any, known: Collection[str], limits: Limits) -> Request:
    """As `parse`, from decoded JSON. Properties that are not known are not looked at."""
    if not isinstance(value, dict):
        raise _no_request("it must be an object")
    using = _using(value, known)
    given = value.get("methodCalls")
    if not isinstance(given, list):
        raise _no_request("methodCalls must be an array")
    if len(given) > limits.max_calls_in_request:
        raise exceeded("maxCallsInRequest")
    return Request(using, tuple(map(_call, given)), _created(value))


def exceeded(limit: str) -> RequestError:
    return RequestError("limit", f"The request exceeds {limit}", limit=limit)


def _no_request(why: str) -> RequestError:
    return RequestError("notRequest", f"This is no JMAP request: {why}")


def _using(value: Mapping[str, Any], known: Collection[str]) -> frozenset[str]:
    using = value.get("using")
    if not isinstance(using, list) or not all(isinstance(item, str) for item in using):
        raise _no_request("using must be an array of String")
    for item in using:
        if item not in known:
            raise RequestError("unknownCapability", f"{item} is not known here")
    return frozenset(using)


def _call(value: Any) -> Call:
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not isinstance(value[0], str)
        or not isinstance(value[1], dict)
        or not isinstance(value[2], str)
    ):
        raise _no_request("a call must be an array of a name, arguments and an id")
    return Call(value[0], value[1], value[2])


def _created(value: Mapping[str, Any]) -> dict[str, str] | None:
    given = value.get("createdIds")
    if given is None:
        return None
    try:
        return map_of(identifier, identifier)(given)
    except WrongType:
        raise _no_request("createdIds must be an object of Id by Id") from None
