"""Limits and budgets that several machines share, by Redis."""
