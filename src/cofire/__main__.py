"""``python -m cofire``."""

from .cli import main

main()
