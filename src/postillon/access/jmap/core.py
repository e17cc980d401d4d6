"""Core/echo and Blob/copy: what needs nothing but the core capability (RFC 8620 sections 4 and 6.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import blobs
from postillon.access.jmap.blobs import UPLOADS_KEPT, BlobNotFound, Blobs
from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Context, Method
from postillon.account.errors import TooManyUploads
from postillon.protocol.jmap.errors import MethodError, SetError
from postillon.protocol.jmap.kinds import identifier, list_of, reference
from postillon.protocol.jmap.standard import Arguments
from postillon.store.operation import BlobLost

CAPABILITY = "urn:ietf:params:jmap:core"


async def echo(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


async def copy(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Blob/copy: what the caller may read in one account becomes an upload of another."""
    arguments = Arguments(given)
    source_id = arguments.take("fromAccountId", identifier)
    account_id = arguments.take("accountId", identifier)
    ids = arguments.take("blobIds", list_of(reference))
    arguments.end()
    limits, principal = context.limits, context.identity.principal
    if len(ids) > limits.max_objects_in_set:
        raise MethodError("requestTooLarge", f"at most {limits.max_objects_in_set} blobs")
    account = await context.account(account_id)
    try:
        source = await context.account(source_id)
    except MethodError:
        raise MethodError("fromAccountNotFound") from None
    opener = Blobs(context.accounts, source, principal)
    uploads = context.accounts.uploads(account.id, principal, limits.max_size_upload * UPLOADS_KEPT)
    copied: dict[str, str] = {}
    failed: dict[str, Any] = {}
    for name in dict.fromkeys(ids):
        try:
            opened = await opener.open(context.id_of(name) or "")
            kept = await uploads.add(await opener.read(opened), opened.media_type)
            copied[name] = str(blobs.of_upload(kept.id))
        except (BlobNotFound, BlobLost):
            failed[name] = SetError("notFound").as_json()
        except TooManyUploads as error:
            failed[name] = SetError("overQuota", str(error)).as_json()
    return {
        "fromAccountId": source_id,
        "accountId": account_id,
        "copied": copied or None,
        "notCopied": failed or None,
    }


CAPABILITIES = (
    # Its value is made by the session, which knows the addresses.
    Capability("urn:ietf:params:jmap:websocket", account=lambda services, own: None),
)
METHODS: Mapping[str, Method] = {"Core/echo": echo, "Blob/copy": copy}
