"""What the README and the docs claim about speed, measured: `python -m benchmarks`."""
