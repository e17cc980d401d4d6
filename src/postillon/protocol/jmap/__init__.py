"""JMAP as pure rules: I-JSON, requests, references, errors, standard arguments (RFC 8620)."""
