"""What faces do: the Facial Action Coding System as data and geometry (NumPy only)."""
