"""``python -m polyvec`` is the command ``polyvec``."""

from polyvec.cli import main

if __name__ == "__main__":
    main()
