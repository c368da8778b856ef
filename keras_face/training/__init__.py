"""A run: strategy, model, loop, checkpoints, validation, from a configuration."""
