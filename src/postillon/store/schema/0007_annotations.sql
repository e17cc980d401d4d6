-- Named values that clients keep at a mailbox, or at the account where mailbox is 0 (RFC 5464).
CREATE TABLE annotation (
    account bigint NOT NULL,
    mailbox bigint NOT NULL,
    entry   text NOT NULL,             -- /private/... or /shared/..., lower case
    value   blob NOT NULL,
    PRIMARY KEY (account, mailbox, entry)
) WITHOUT ROWID;
