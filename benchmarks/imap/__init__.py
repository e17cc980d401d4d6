"""Postillon and other IMAP servers, side by side on the same mail."""
