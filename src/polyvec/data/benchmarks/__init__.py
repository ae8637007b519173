"""Published benchmarks from files on this machine: sentences, questions, tags and words with what people said of them.

The files lie in one folder, which the environment variable ``POLYVEC_DATA`` names; a file may be
compressed with gzip. Nothing is fetched, and nothing is unpacked to disk.
"""
