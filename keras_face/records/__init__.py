"""A dataset on disk, and the batches that come out of it."""
