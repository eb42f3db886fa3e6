"""Which key a request has: API keys, from the database to the `authorization` header."""
