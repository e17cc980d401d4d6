-- ENVELOPE and BODYSTRUCTURE as IMAP writes them, made once when an email comes. NULL for those that came
-- before: what reads them makes them of the header and the structure. Should their writing ever change, a
-- migration sets all of them to NULL.

ALTER TABLE email ADD COLUMN envelope blob;
ALTER TABLE email ADD COLUMN bodystructure blob;
