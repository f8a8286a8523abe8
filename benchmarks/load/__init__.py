"""`make load`: visits that arrive at a rate, faults in the outer systems, and a check of every đồng afterwards."""
