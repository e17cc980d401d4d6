"""JMAP for clients: sessions, calls, blobs and push over HTTP (RFC 8620, RFC 8621)."""
