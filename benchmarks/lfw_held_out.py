r"""Holds people of LFW View 1's training half out, to choose settings by them instead of by the test pairs.

    python benchmarks/lfw_held_out.py --output_dir DIR
    python -m train_centre --config recipes/lfw_view1.ini --set lfw_train.people=DIR/train.txt \
      --set lfw.pairs=DIR/pairs.txt --set training.epochs=0 --set training.steps=3200

Writes the people that are left to train on, and 800 genuine and 800 impostor pairs of the others, in View 1's format.
The protocol is looked for in $KERAS_FACE_DATA (default ../shared/data).
"""

import os
import random
from pathlib import Path

from absl import app, flags

OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder for train.txt and pairs.txt.", required=True)

MANY, SINGLE, PAIRS, PAIRS_OF_ONE, SEED = 220, 250, 800, 8, 5


def main(argv):
    if len(argv) > 1:
        raise app.UsageError("Too many arguments.")
    data = Path(os.environ.get("KERAS_FACE_DATA") or Path(__file__).parent / ".." / ".." / "shared" / "data")
    lines = (data / "lfw" / "protocol" / "peopleDevTrain.txt").read_text(encoding="utf-8").splitlines()[1:]
    people = [(name, int(photos)) for name, photos in (line.split("\t") for line in lines if line)]
    draw = random.Random(SEED)
    many, single = ([person for person in people if (person[1] > 1) is more] for more in (True, False))
    draw.shuffle(many)
    draw.shuffle(single)
    held = many[:MANY] + single[:SINGLE]
    genuine = []
    for name, photos in many[:MANY]:
        pairs = [(i, j) for i in range(1, photos + 1) for j in range(i + 1, photos + 1)]
        draw.shuffle(pairs)
        genuine += [f"{name}\t{i}\t{j}" for i, j in pairs[:PAIRS_OF_ONE]]
    draw.shuffle(genuine)
    impostor = set()
    while len(impostor) < PAIRS:
        (left, photos), (right, others) = draw.sample(held, 2)
        impostor.add((left, draw.randint(1, photos), right, draw.randint(1, others)))
    output_dir = Path(OUTPUT_DIR.value)
    output_dir.mkdir(parents=True)
    names = sorted(name for name, _ in set(people) - set(held))
    (output_dir / "train.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    impostors = ["\t".join(map(str, pair)) for pair in sorted(impostor)]
    text = "\n".join([str(PAIRS), *genuine[:PAIRS], *impostors]) + "\n"
    (output_dir / "pairs.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
