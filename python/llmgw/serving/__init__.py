"""How the gateway's processes run: the parent, its workers, reloads, and the folder that connects them."""
