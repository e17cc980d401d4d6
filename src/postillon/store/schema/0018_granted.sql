-- What is granted has a record of its own in the change log. Older records of changed mailboxes may have been
-- such ones, of whomever: those who are not the owner are told nothing across them.
UPDATE change SET kind = 14, object = 0 WHERE kind = 11;
