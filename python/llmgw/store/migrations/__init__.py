"""How the tables came to be: Alembic's folder, inside the package so that the wheel includes it."""
