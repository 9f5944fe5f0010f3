"""Trained models out of training: SavedModel, LiteRT, and photos put through them."""
