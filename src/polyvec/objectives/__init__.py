"""What is minimised while a model learns."""
