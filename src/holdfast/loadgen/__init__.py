"""The load generator: an open model, latency from the intended start, and it knows when it is late itself."""
