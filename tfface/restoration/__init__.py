"""Expression restoration: a degraded face back, with its action units as they were."""
