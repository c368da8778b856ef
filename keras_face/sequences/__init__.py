"""Videos become tracks: frames, faces that are followed, and what of them is kept."""
