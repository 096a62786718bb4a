"""A stand-in for a Bitrix24 portal: its REST contract, its limits, and latency that follows from load."""
