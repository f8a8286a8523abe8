"""The sandbox: as a process for tests of the API, and on its own for tests of itself."""
