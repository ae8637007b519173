"""Finding things with vectors: the server, and how it computes."""
