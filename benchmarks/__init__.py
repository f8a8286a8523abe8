"""What is measured rather than tested; `make bench` runs it."""
