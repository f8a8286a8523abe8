"""`make load`: visits that arrive at a rate, faults, and a check of every payment."""
