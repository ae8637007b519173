"""Search: an index of passages on disk, found by vectors, words or both, and the server."""
