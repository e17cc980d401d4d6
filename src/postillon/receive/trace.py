"""What is written down of a message's arrival: the Received field, and the facts for the trace."""

from __future__ import annotations

from postillon.mail import trace
from postillon.mail.address import Address
from postillon.net.stream import Stream
from postillon.receive.checks import Arriving, Client

MAX_ROUTES = 20  # recipients whose routing steps are kept with the trace
LMTP = "lmtp"


def received(
    *,
    stream: Stream,
    client: Client,
    hello: str,
    extended: bool,
    arriving: Arriving,
    hostname: str,
    queue_id: str,
    now: int,
) -> bytes:
    """The Received field of this hop. A single recipient is named, several are not."""
    paths = arriving.recipients
    only: Address | None = paths[0].forward_path if len(paths) == 1 else None
    tls = stream.tls
    return trace.received(
        helo=hello,
        peer=client.address,
        by=hostname,
        protocol=trace.protocol(
            extended=extended,
            tls=tls is not None,
            authenticated=client.principal is not None,
            utf8=arriving.envelope.smtputf8,
            lmtp=client.kind == LMTP,
        ),
        queue_id=queue_id,
        at=now,
        forward_path=only,
        tls=f"{tls.version} {tls.cipher}" if tls is not None else "",
    )


def facts(stream: Stream, client: Client, hello: str, arriving: Arriving) -> dict[str, object]:
    """The inputs of the decision to accept, kept with the trace."""
    known: dict[str, object] = {"via": client.kind, "peer": client.address, "hello": hello}
    if stream.tls is not None:
        known["tls"] = f"{stream.tls.version} {stream.tls.cipher}"
    if client.principal is not None:
        known["login"] = client.principal.login
    known["route"] = {
        str(recipient.forward_path): list(lookup.steps)
        for recipient, lookup in zip(
            arriving.recipients[:MAX_ROUTES], arriving.lookups, strict=False
        )
    }
    return known
