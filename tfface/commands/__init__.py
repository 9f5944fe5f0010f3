"""The verbs of the `tfface` command, a module each: `add_parser` declares it, `run` does it."""
