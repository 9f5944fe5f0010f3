"""What `tfface recognize` does with a file, and how it writes what it finds."""
