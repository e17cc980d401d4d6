-- What only PostgreSQL has: the octets of messages, where SQLite has pack files.

CREATE SEQUENCE object_pack AS bigint;

-- One row for each commit that brought octets: records as in a pack, one after the other. What rows
-- call `pack`, `start` and `length` names such a row, a record in it, and the octets of its payload.
CREATE TABLE object (
    pack       bigint PRIMARY KEY DEFAULT nextval('object_pack'),
    size       bigint NOT NULL,        -- octets of content
    created_at bigint NOT NULL,        -- ms
    content    bytea NOT NULL
);
-- Neither compressed nor in the row: so a part of it is read without the rest.
ALTER TABLE object ALTER COLUMN content SET STORAGE EXTERNAL;
