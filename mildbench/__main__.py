"""`python -m mildbench`."""

from mildbench.cli import main

main()
