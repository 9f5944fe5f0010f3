"""Weak expressions, recognized by magnifying them to their peak."""
