"""One file per endpoint: its path, how its body is read, and what it checks."""
