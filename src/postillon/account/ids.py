"""The names of things inside one account (DESIGN section 4)."""

from __future__ import annotations

from typing import NewType

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
EmailId = NewType("EmailId", int)  # immutable object id; EMAILID of RFC 8474
ThreadId = NewType("ThreadId", int)
PlacementId = NewType("PlacementId", int)
Uid = NewType("Uid", int)  # from 1, never reused (RFC 9051 section 2.3.1.1)
ModSeq = NewType("ModSeq", int)  # from 1, the account's (RFC 7162)
