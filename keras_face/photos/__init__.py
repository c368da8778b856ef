"""Photos on disk: the one way to list, read, check and encode them."""
