-- What others than its owner may do in a mailbox (RFC 4314), and the ways from a person to their groups.
-- Mailbox 0: what a new mailbox at the top of the account begins with.
CREATE TABLE granted (
    account bigint NOT NULL,
    mailbox bigint NOT NULL,
    grantee bigint NOT NULL,           -- a principal, person or group; 0 is anyone
    rights  bigint NOT NULL,           -- bits, see account.rights
    PRIMARY KEY (account, mailbox, grantee)
) WITHOUT ROWID;
CREATE INDEX granted_grantee ON granted (grantee, account);
CREATE INDEX group_member_member ON group_member (member);
CREATE INDEX alias_target_target ON alias_target (target);
