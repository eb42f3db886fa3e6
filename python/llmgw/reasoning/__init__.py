"""Reasoning of earlier turns: where it is kept, and how it is restored in a request that lost it."""
