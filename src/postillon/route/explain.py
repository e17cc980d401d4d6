"""Every step of a routing decision, with nothing sent: what `postillon explain FROM TO` prints."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.mail.address import Address
from postillon.route.nexthop import Hosts, NextHops
from postillon.route.recipient import LocalTarget, Recipients


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps in order, and where each target ends in one line."""

    steps: tuple[str, ...]
    ends: tuple[str, ...]
    deliverable: bool


async def explain(
    recipients: Recipients, next_hops: NextHops, forward_path: Address, *, may_relay: bool
) -> Explanation:
    """Decide as for a message to `forward_path`, from somebody who may or may not relay."""
    found = await recipients.lookup(forward_path, may_relay=may_relay)
    steps = list(found.steps)
    if found.refusal is not None:
        refusal = found.refusal
        return Explanation(tuple(steps), (f"refused: {refusal.code} {refusal.text}",), False)
    ends: list[str] = []
    deliverable = True
    for target in found.targets:
        if isinstance(target, LocalTarget):
            detail = f", sub-address {target.detail!r}" if target.detail else ""
            ends.append(f"{target.address}: mailbox of this server{detail}")
            continue
        answer = await next_hops.find(target.destination)
        steps += answer.steps
        if isinstance(answer, Hosts):
            servers = ", ".join(f"{host.name}:{host.port}" for host in answer.hosts)
            tls = f"{'TLS at once' if answer.tls.implicit else 'TLS'} {answer.tls.security.value}"
            ends.append(f"{target.address}: {answer.protocol} to {servers} ({tls})")
        else:
            deliverable = False
            kind = "fails" if answer.permanent else "waits"
            ends.append(f"{target.address}: {kind}: {answer.status.code} {answer.status.text}")
    return Explanation(tuple(steps), tuple(ends), deliverable)
