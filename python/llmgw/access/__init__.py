"""Who is asking: API keys, from the database to the `authorization` header of a request."""
