"""Requests to the running API, one module per noun, and their effects."""
