"""Search: an index of passages on disk, found by vectors, by words, or by both."""
