"""The load client: light HTTP and WebSocket connections, and kinds of load."""
