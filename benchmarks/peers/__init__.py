"""Postillon beside other mail servers: the same load, durable settings for all, in one command."""
