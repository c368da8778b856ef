"""Masks drawn on faces: pictures of masks, where they lie, the light on them."""
