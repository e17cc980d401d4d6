-- What has been imported into an account, so that an import run again places nothing twice.

CREATE TABLE imported (
    account bigint NOT NULL,
    mark    blob NOT NULL,     -- hash of the mailbox and of what identifies a message in its source
    copies  bigint NOT NULL,   -- messages with this mark that were placed
    run     bigint NOT NULL,   -- the last run that met it
    seen    bigint NOT NULL,   -- how often that run has met it
    at      bigint NOT NULL,   -- when it was met last
    PRIMARY KEY (account, mark)
) WITHOUT ROWID;
CREATE INDEX imported_at ON imported (at);
