"""Postillon and other JMAP servers, side by side on the same mail."""
