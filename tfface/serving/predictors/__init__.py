"""Photo in, result out: each system's trained model as a user of Python calls it."""
