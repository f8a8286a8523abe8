"""Stand-ins for every outer system, which spell each protocol a second time."""
