"""`python -m mobinet` is the program `mobinet`."""

from mobinet.cli import main

main()
