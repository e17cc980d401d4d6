-- What the server did in each minute, for charts. Kept for some days.

CREATE TABLE activity (
    minute bigint NOT NULL,            -- since 1970 UTC
    name   text NOT NULL,              -- accepted, delivered, ...; see server.activity
    value  bigint NOT NULL,
    PRIMARY KEY (minute, name)
) WITHOUT ROWID;
