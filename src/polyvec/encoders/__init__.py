"""Models: opening them, and turning many texts into vectors with them."""
