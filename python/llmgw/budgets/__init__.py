"""How much money or how many tokens each project, key and user may spend in a period."""
