"""One row per request, on disk: entries, the thread that writes them, the journal, and sums over them."""
