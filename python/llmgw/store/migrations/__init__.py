"""Alembic's folder. It lies inside the package, so that the wheel carries it."""
