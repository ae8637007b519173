"""The commands of the command line: each parses, calls one function of a room, and prints what it returns."""
