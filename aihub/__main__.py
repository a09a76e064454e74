"""`python -m aihub`."""

from aihub.cli import main

if __name__ == "__main__":
    main()
