-- What somebody is told of rights that another has given or taken (RFC 9670 section 3).

CREATE TABLE share_notice (
    account    bigint NOT NULL,        -- of who is told
    notice     bigint NOT NULL,
    at         bigint NOT NULL,        -- ms
    changed_by bigint NOT NULL,        -- a principal; name and address as they were then
    by_name    text NOT NULL,
    by_email   text NOT NULL,
    owner      bigint NOT NULL,        -- the account of the mailbox
    mailbox    bigint NOT NULL,
    name       text NOT NULL,          -- of the mailbox, as it was then
    old_rights bigint NOT NULL,        -- all that the person had there; bits, see account.rights
    new_rights bigint NOT NULL,
    PRIMARY KEY (account, notice)
) WITHOUT ROWID;
