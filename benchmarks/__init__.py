"""Speed and quality, side by side, each in one run: `python -m benchmarks` says what there is."""
