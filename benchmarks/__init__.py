"""Speed and quality, side by side, each in one run: `python -m benchmarks.layers` and its kin."""
