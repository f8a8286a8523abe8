"""Stand-ins for every outer system, with their own implementation of each protocol."""
