"""A trained model in, a better suited one out."""
