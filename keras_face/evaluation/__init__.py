"""Figures and their intervals, from who is compared with whom and the scores: NumPy alone, and never a model."""
