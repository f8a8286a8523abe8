"""What rows are compared with beside the pinned commit: limits of the machine, and peers."""
