"""One file a paper: its claim, its baseline, and the experiment that decides."""
