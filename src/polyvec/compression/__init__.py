"""Smaller models and smaller vectors, and what they really cost."""
