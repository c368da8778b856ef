"""Evaluation of one's own embeddings, from arrays in memory and without TensorFlow.

python examples/evaluate_arrays.py
"""

import sys

import numpy as np

from keras_face import evaluation

random = np.random.default_rng(0)
people = np.repeat(np.arange(100), 6)  # 100 people with 6 photos each
centres = random.normal(size=(100, 64))
embeddings = centres[people] + 1.3 * random.normal(size=(600, 64))  # as your model would give them

measured = evaluation.verify_people(embeddings, people, name="mine", model="my model")
print(evaluation.table([measured.result]))

# The same on pairs of your own: rows of the embeddings, and whether they show one person.
left, right = random.integers(0, 600, (2, 4000))
pairs = evaluation.verify_pairs(embeddings, left, right, people[left] == people[right], people=people)
print(f"area under the ROC curve on 4,000 random pairs: {pairs.result.auc:.3f}")
print(f"TensorFlow was imported: {'tensorflow' in sys.modules}")
