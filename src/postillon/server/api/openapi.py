"""The OpenAPI document of the administration API, made from the operations themselves (OpenAPI 3.1)."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from postillon import __version__
from postillon.server.api.operation import Operation, Parameter
from postillon.server.api.problems import Problem
from postillon.server.api.registry import OPERATIONS, PREFIX

REFERENCES = "#/components/schemas/{name}"
GROUPS = {
    "server": "The server: health, settings, activity.",
    "domains": "Domains, and what to publish for them in DNS.",
    "accounts": "People and shared accounts.",
    "aliases": "Addresses that lead to other addresses.",
    "groups": "Addresses that lead to their members.",
    "logins": "Who signs in, and who is kept from it.",
    "queue": "Mail that waits, and what to do about it.",
    "traces": "What happened to messages.",
    "explain": "How a message would travel.",
    "services": "What clients connect to.",
    "audit": "What administrators have done.",
}


def document() -> dict[str, Any]:
    """The whole document, as JSON has it."""
    schemas, components = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for item in OPERATIONS:
        paths.setdefault(item.path, {})[item.method.lower()] = _operation(item, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postillon administration",
            "version": __version__,
            "description": "Everything that the command line does. Errors are RFC 9457 documents.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": PREFIX}],
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key (`postillon api-key add`) or an access token.",
                },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The login and password of an administrator.",
                },
            },
        },
    }


def _schemas() -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each type that is used, and the components they refer to."""
    kinds: list[Any] = [Problem]
    for item in OPERATIONS:
        kinds += [kind for kind in (item.body, item.result) if kind is not None]
        kinds += [parameter.kind for parameter in item.parameters]
    found, components = msgspec.json.schema_components(
        kinds, schema_hook=_anything, ref_template=REFERENCES
    )
    # Types that compare equal share their schema; lists are no keys of a dict by themselves.
    return {str(kind): schema for kind, schema in zip(kinds, found, strict=True)}, components


def _anything(kind: type) -> dict[str, Any]:
    """The schema of `object`, which the values of facts have: whatever JSON knows."""
    if kind is object:
        return {"description": "Whatever JSON knows."}
    raise NotImplementedError


def _operation(item: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": schemas[str(Problem)]}}
    answer: dict[str, Any] = {"description": "Done."}
    if item.result is not None:
        answer["content"] = {"application/json": {"schema": schemas[str(item.result)]}}
    found: dict[str, Any] = {
        "operationId": item.name,
        "tags": [item.group],
        "summary": item.summary,
        "security": [{"bearer": [item.scope.value]}, {"basic": []}],
        "parameters": [_parameter(parameter, schemas) for parameter in item.parameters],
        "responses": {
            str(item.status): answer,
            "default": {"description": "Refused; nothing has changed.", "content": problem},
        },
    }
    if item.about:
        found["description"] = item.about
    if item.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[str(item.body)]}},
        }
    return found


def _parameter(item: Parameter, schemas: dict[Any, Any]) -> dict[str, Any]:
    schema = schemas[str(item.kind)]
    if item.many:
        schema = {"type": "array", "items": schema}
    elif not item.required and item.default is not None:
        schema = {**schema, "default": item.default} if "$ref" not in schema else schema
    return {
        "name": item.public,
        "in": item.place,
        "required": item.required,
        "schema": schema,
    }


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n")
