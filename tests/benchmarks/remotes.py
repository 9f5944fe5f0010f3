"""What the tests of processes run in processes of their own; a test's module is none to import."""

MIB = 2**20


def prepare(before, making, step):
    """Holds so many MiB before anything counts, then more; each step takes and gives back some."""
    kept = [b"\1" * (before * MIB)]

    def make():
        kept.append(b"\1" * (making * MIB))

        def take():
            taken = b"\1" * (step * MIB)
            return len(taken) // MIB

        return take

    return make


def fail():
    """Makes a rival whose first step fails."""

    def make():
        return {}.popitem

    return make
