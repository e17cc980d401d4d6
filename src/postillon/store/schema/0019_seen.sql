-- That \Seen was among the flags that changed is a kind of its own in the log (account.changes.SEEN); of what
-- is there already nobody knows, so all of it may have been. Columns seen_changed and content_changed of
-- `email` keep the MODSEQ of its creation from now on: writing them rewrote a kilobyte for each flag.

UPDATE change SET kind = 7 WHERE kind = 2;
