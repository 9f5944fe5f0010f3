"""Expression synthesis: action units switched in a photo, everything else untouched."""
