-- Emails lie in the order of arrival. Their rows of about a kilobyte filled the tree of the key, where each
-- delivery rewrote pages of its account and of the levels above; now a commit fills the page it has begun,
-- and the tree of the key holds small entries. Columns are those of 0001.

CREATE TABLE email_by_arrival (
    account         bigint NOT NULL,
    email           bigint NOT NULL,
    thread          bigint NOT NULL,
    pack            bigint NOT NULL,
    start           bigint NOT NULL,
    length          bigint NOT NULL,
    size            bigint NOT NULL,
    digest          blob NOT NULL,
    prefix          blob NOT NULL,
    received_at     bigint NOT NULL,
    sent_at         bigint,
    header          blob NOT NULL,
    structure       blob NOT NULL,
    preview         text NOT NULL,
    queue_id        bigint,
    created         bigint NOT NULL,
    content_changed bigint NOT NULL,
    seen_changed    bigint NOT NULL,
    PRIMARY KEY (account, email)
);
INSERT INTO email_by_arrival SELECT * FROM email ORDER BY pack, start;
DROP TABLE email;
ALTER TABLE email_by_arrival RENAME TO email;
CREATE INDEX email_blob ON email (pack, start, length);
