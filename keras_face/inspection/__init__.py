"""What is wrong with a dataset, found before a day of training is spent on it, and how it is mended."""
