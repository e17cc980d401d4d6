"""A short message, sent to see that mail arrives."""

from __future__ import annotations

from random import SystemRandom

from postillon.admin import audit
from postillon.admin.errors import Refused
from postillon.mail.address import Address, AddressError, parse_address
from postillon.mail.compose import Composer, text_entity
from postillon.mail.envelope import Envelope, Recipient
from postillon.mail.trace import new_message_id
from postillon.queue.acceptance import Submission, SubmissionRefused
from postillon.queue.ids import format_queue_id, new_queue_id
from postillon.server.api.office import Office

TEXT = (
    "This message was sent by an administrator of {hostname} to see that mail arrives.\n\n"
    "If you read it, it does.\n"
)


async def send_test(office: Office, sender: str, to: str) -> str:
    """Returns the id of the message in the queue. Raises Refused."""
    recipient = _address(to)
    author = await _author(office, sender)
    now, hostname = office.clock(), office.config.server.hostname
    header = Composer()
    header.mailboxes("From", [("", author)])
    header.mailboxes("To", [("", recipient)])
    header.text("Subject", f"Test message from {hostname}")
    header.date(now)
    header.structured("Message-ID", new_message_id(hostname, SystemRandom().randbytes(12)))
    header.structured("Auto-Submitted", "auto-generated")  # RFC 3834 section 5
    header.structured("MIME-Version", "1.0")
    content = bytes(header).removesuffix(b"\r\n") + text_entity(TEXT.format(hostname=hostname))
    submission = Submission(
        Envelope(author, (Recipient(recipient),)), content, b"", None, {"via": "api"},
        new_queue_id(now),
    )  # fmt: skip
    try:
        accepted = await office.submitter.submit(submission)
    except SubmissionRefused as error:
        raise Refused(str(error)) from error
    name = format_queue_id(accepted.queue_id)
    await audit.note(office.desk, "server.test-message", str(recipient), {"id": name})
    return name


async def _author(office: Office, text: str) -> Address:
    """Who it is from: an address of an account, or the postmaster of the first domain."""
    if text:
        address = _address(text)
        if await office.desk.directory.by_login(text) is None:
            raise Refused(f"{text} is no address of an account here", "reports must reach somebody")
        return address
    found = await office.desk.directory.domains()
    if not found:
        raise Refused("this server answers for no domain", "add your domain first")
    return parse_address(f"postmaster@{found[0].name}")


def _address(text: str) -> Address:
    try:
        return parse_address(text.strip())
    except AddressError as error:
        raise Refused(f"{text!r}: {error}", "write an address such as ada@example.org") from None
