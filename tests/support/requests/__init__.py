"""Requests to the running API, one module per noun, and what the API then holds."""
