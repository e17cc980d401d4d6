-- Keys of the tokens in IMAP URLs (RFC 4467): one for each mailbox and each who may hand URLs out.
CREATE TABLE url_key (
    account bigint NOT NULL,
    mailbox bigint NOT NULL,
    holder  bigint NOT NULL,           -- the principal whose URLs it proves
    key     blob NOT NULL,
    PRIMARY KEY (account, mailbox, holder)
) WITHOUT ROWID;
