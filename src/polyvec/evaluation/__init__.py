"""Judging: retrieval exams, metrics, intervals."""
