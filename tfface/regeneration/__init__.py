"""The prototypic expressions of any face, and recognition by the nearest one (IA-gen)."""
