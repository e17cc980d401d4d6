-- What an owner wants done with mail as it arrives.

CREATE TABLE mail_rule (
    account  bigint NOT NULL,
    rule     bigint NOT NULL,
    position bigint NOT NULL,          -- the lower ones first, then by number
    enabled  bigint NOT NULL,          -- 0 or 1
    content  text NOT NULL,            -- JSON, see mail/rules.py
    PRIMARY KEY (account, rule)
) WITHOUT ROWID;
CREATE INDEX mail_rule_enabled ON mail_rule (account) WHERE enabled = 1;
