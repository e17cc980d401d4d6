"""POP3 (RFC 1939) without the connection."""
