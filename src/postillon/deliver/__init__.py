"""Agents with one contract: one outcome per recipient."""
