"""Where examples come from: folders, Python packages, web pages, benchmark files."""
