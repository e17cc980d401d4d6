"""Other people's JMAP clients, written against other servers, talking to this one.

A client that is not installed is skipped with its name (`pip install jmapc jmaplib`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from postillon.protocol.jmap.request import Limits
from support.jmap import ADA, BOB, PASSWORD, Caller, caller


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path, Limits()) as found:
        yield found


async def in_thread(ada: Caller, talk: Callable[[str], None]) -> None:
    """These clients wait; the server is in our loop."""
    url = str(ada.client.make_url("/.well-known/jmap"))
    async with asyncio.timeout(60):
        await asyncio.to_thread(talk, url)


async def test_jmaplib_reads_and_sends(ada: Caller) -> None:
    pytest.importorskip("jmap", reason="jmaplib is not installed")
    from jmap import CreationRef
    from jmap.auth import BasicAuth
    from jmap.client import JMAPClient

    def talk(url: str) -> None:
        client: Any = JMAPClient.connect(url, auth=BasicAuth(ADA, PASSWORD))
        with client.batch() as batch:
            boxes = batch.mail.mailbox.get(ids=None)
            people = batch.submission.identity.get(ids=None)
            others = batch.principals.principal.query(filter={"text": "bob"})
            notices = batch.principals.share_notification.get(ids=None)
            away = batch.vacation.vacation_response.get(ids=None)
        roles = {item.role: item.id for item in boxes.result.items}
        person = people.result.items[0]
        assert (len(others.result.ids), len(away.result.items)) == (1, 1)
        assert notices.result.items == []
        upload = client.upload(b"%PDF-1.4", content_type="application/pdf")
        with client.batch() as batch:
            made = batch.mail.email.set(create={"draft": {
                "mailboxIds": {roles["drafts"]: True}, "keywords": {"$draft": True},
                "from": [{"email": person.email}], "to": [{"email": BOB}], "subject": "Lunch?",
                "textBody": [{"partId": "body", "type": "text/plain"}],
                "bodyValues": {"body": {"value": "One o'clock?"}},
                "attachments": [
                    {"blobId": upload.blob_id, "type": "application/pdf", "name": "a.pdf"}
                ],
            }})  # fmt: skip
            sent = batch.submission.email_submission.set(
                create={"send": {"identityId": person.id, "emailId": CreationRef("draft")}},
                onSuccessUpdateEmail={"#send": {
                    "keywords/$draft": None,
                    f"mailboxIds/{roles['drafts']}": None, f"mailboxIds/{roles['sent']}": True,
                }},
            )  # fmt: skip
        assert not made.result.has_errors, made.result.creation_errors
        assert not sent.result.has_errors, sent.result.creation_errors
        with client.batch() as batch:
            found = batch.mail.email.query(filter={"text": "lunch"}, calculate_total=True)
            emails = batch.mail.email.get(ids=found.ref_ids(), fetchTextBodyValues=True)
            status = batch.submission.email_submission.get(ids=None)
        assert found.result.total == 1
        [email] = emails.result.items
        [attachment] = email.attachments
        assert client.download(attachment.blob_id, name="a.pdf", content_type="x/y") == b"%PDF-1.4"
        assert status.result.items[0].delivery_status[BOB].delivered == "yes"

    await in_thread(ada, talk)


async def test_jmapc_reads_and_sends(ada: Caller) -> None:
    jmapc = pytest.importorskip("jmapc")
    from jmapc import methods
    from jmapc.session import Session

    def talk(url: str) -> None:
        client: Any = jmapc.Client.create_with_password("unused", ADA, PASSWORD)
        told = client.requests_session.get(url)
        client.__dict__["jmap_session"] = Session.from_dict(told.json())  # it asks by HTTPS alone
        [person] = client.request(methods.IdentityGet()).data
        boxes = {box.role: box.id for box in client.request(methods.MailboxGet(ids=None)).data}
        draft = jmapc.Email(
            mail_from=[jmapc.EmailAddress(email=person.email)],
            to=[jmapc.EmailAddress(email=BOB)],
            subject="Lunch?",
            keywords={"$draft": True},
            mailbox_ids={boxes["drafts"]: True},
            body_values={"body": jmapc.EmailBodyValue(value="One o'clock?")},
            text_body=[jmapc.EmailBodyPart(part_id="body", type="text/plain")],
        )
        envelope = jmapc.Envelope(
            mail_from=jmapc.Address(email=person.email), rcpt_to=[jmapc.Address(email=BOB)]
        )
        submission = jmapc.EmailSubmission(
            email_id="#draft", identity_id=person.id, envelope=envelope
        )
        answers = client.request(
            [
                methods.EmailSet(create={"draft": draft}),
                methods.EmailSubmissionSet(create={"send": submission}),
                methods.EmailQuery(
                    collapse_threads=True,
                    filter=jmapc.EmailQueryFilterCondition(in_mailbox=boxes["drafts"]),
                    sort=[jmapc.Comparator(property="receivedAt", is_ascending=False)],
                    limit=5,
                ),
                methods.EmailGet(ids=jmapc.Ref("/ids")),
                methods.ThreadGet(ids=jmapc.Ref("/list/*/threadId")),
            ],
            raise_errors=True,
        )
        *_, emails, threads = [item.response for item in answers]
        assert [item.subject for item in emails.data] == ["Lunch?"]
        assert [item.email_ids for item in threads.data] == [[emails.data[0].id]]

    await in_thread(ada, talk)
