"""Suites of mteb tasks: which there are, running them, intervals and pictures."""
