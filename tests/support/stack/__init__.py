"""Mobinet as real processes, and the people who use it: for journeys, the soak and the demo."""
