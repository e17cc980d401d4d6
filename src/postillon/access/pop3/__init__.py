"""POP3 for clients: sessions over the engine of `protocol.pop3`."""
