"""Postillon: a messaging server. The folders are the stations of a letter's journey."""

__version__ = "0.1.0"
