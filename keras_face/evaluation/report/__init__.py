"""One page, and plots, of what was measured."""
