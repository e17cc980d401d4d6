"""Mail that comes from elsewhere or goes there: mbox, Maildir, plain files, backups, accounts."""
