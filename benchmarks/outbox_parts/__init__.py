"""What `benchmarks/outbox.py` is made of."""
