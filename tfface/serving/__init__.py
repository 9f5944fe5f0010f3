"""Trained models out of training: SavedModel, LiteRT, and photos restored with them."""
