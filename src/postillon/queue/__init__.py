"""Durable from acceptance to final disposition: the states stand in docs/queue.md."""
