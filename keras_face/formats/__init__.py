"""Others' formats: InsightFace's `.rec` and `.bin`, NumPy arrays, TensorFlow Datasets; mxnet is not needed."""
