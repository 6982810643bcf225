"""Stacks that are run once, and all that they declare."""
