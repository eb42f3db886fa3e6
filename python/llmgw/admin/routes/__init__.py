"""One file per resource. Routes are thin: they turn schemas into calls of our own functions, and back."""
