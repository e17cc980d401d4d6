"""Signing in over HTTP: OAuth with its pages, sessions of our own web client, one's settings."""
