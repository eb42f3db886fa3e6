"""How Alembic reaches the database; it runs this file for every command.

`llmgw.store.migrate` passes an open connection, in a transaction that holds the write lock.
"""

from alembic import context

from llmgw.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite can't alter a column; Alembic then copies the table
)
context.run_migrations()
