-- Of an email that is gone the tombstone says which thread it was in: JMAP tells what became of threads.
ALTER TABLE change ADD COLUMN thread bigint NOT NULL DEFAULT 0;  -- 0: the email is still there, or not known
