"""A stand-in for CI systems: a queue, runners that deploy, artefacts; behind the API of three products."""
