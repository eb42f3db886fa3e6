"""Reasoning of earlier turns: where it is kept, and how it returns to a request that lost it."""
