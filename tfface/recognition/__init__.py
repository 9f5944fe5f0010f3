"""Action units from a face, learned with most labels missing."""
