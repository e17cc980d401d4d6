"""JMAP's ground: whatever octets a client sends, a request or a refusal, never another exception."""

import contextlib
import json

from postillon.protocol.jmap import ijson, patch, references, standard
from postillon.protocol.jmap.errors import MethodError, RequestError, SetError
from postillon.protocol.jmap.request import Call, Limits, parse

LIMITS = Limits(max_calls_in_request=16, max_objects_in_get=50, max_objects_in_set=50)
KNOWN = ("urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail")
PARSERS = (
    lambda given: standard.GetArguments.parse(given, LIMITS),
    standard.ChangesArguments.parse,
    lambda given: standard.SetArguments.parse(given, LIMITS),
    lambda given: standard.CopyArguments.parse(given, LIMITS),
    standard.QueryArguments.parse,
    standard.QueryChangesArguments.parse,
)
HEAD = '{"using":["urn:ietf:params:jmap:core"],"methodCalls":'
SEEDS = (
    f'{HEAD}[["Core/echo",{{"a":[1,2.5,null,true]}},"c1"]],"createdIds":{{"k":"M1"}}}}'.encode(),
    f'{HEAD}[["Email/get",{{"accountId":"a1","ids":["M1"],"properties":["id"]}},"0"],'
    '["Email/get",{"accountId":"a1","#ids":{"resultOf":"0","name":"Email/get","path":"/ids/*"}},"1"]]}'
    .encode(),
    f'{HEAD}[["Email/set",{{"accountId":"a1","create":{{"k":{{"a":1}}}},"update":{{"M1":'
    '{"a/b~1c":null,"x":[]}},"destroy":["M2"]},"0"]]}'.encode(),
    f'{HEAD}[["Email/query",{{"accountId":"a1","filter":{{"operator":"NOT","conditions":[{{"a":1}}]}},'
    '"sort":[{"property":"x","isAscending":false}],"position":-1,"anchor":"M1","limit":3},"0"]]}'
    .encode(),
    b'{"a":"\\ud83d\\ude00\\uD800","a":1e999}',
    b"[" * 70 + b"]" * 70,
)  # fmt: skip


def one(data: bytes) -> None:
    try:
        value = ijson.decode(data)
    except ijson.NotIJson:
        value = None
    else:
        # What is taken is what everybody else reads in it, and can be written again.
        assert json.loads(data) == value
        json.dumps(value, ensure_ascii=False).encode()
    try:
        request = parse(data, KNOWN, LIMITS)
    except RequestError:
        return
    earlier: list[Call] = []
    for call in request.calls:
        try:
            arguments = references.resolve(call.arguments, earlier)
        except MethodError as error:
            arguments = error.as_json()
        for read in PARSERS:
            try:
                read(arguments)
            except MethodError:
                continue
        with contextlib.suppress(SetError):
            patch.apply({"a": {"b/c": 1}, "x": [1]}, arguments)
        earlier.append(Call(call.name, arguments, call.call_id))
