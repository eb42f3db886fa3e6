"""The processes: the parent that serves, its workers, reloads, and the folder that connects them."""
