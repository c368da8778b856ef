"""What training does to a photo, from a seed alone: the same photo and seed give the same picture."""
