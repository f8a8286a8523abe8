"""The load client: lean HTTP and WebSocket connections, and the ways to load a server with them."""
