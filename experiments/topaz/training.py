"""Topaz trained on labelled micrographs, from its own pretrained weights, by its own rule for what has no label."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drpnet.io.atomic import write_bytes
from drpnet.io.micrographs import read_shape
from drpnet.labelled import LabelledMicrograph
from experiments.topaz.picking import Downsampled
from experiments.topaz.programs import run, topaz_words

EPOCHS = 4
"""Topaz's default is ten epochs of 1,000 updates, which take hours on a CPU."""
DISC = 3
"""Downsampled px around a label that count as particle, Topaz's default."""


def trained(
    topaz: str, train: Sequence[LabelledMicrograph], small: Downsampled, expected: float, updates: int, folder: Path
) -> Path:
    """The detector, a file in `folder`; made unless it is there.

    `expected` particles a micrograph, as Topaz wants to be told; `updates` in each of `EPOCHS`.
    """
    images, targets = ["image_name\tpath"], ["image_name\tx_coord\ty_coord"]
    for one in train:
        images.append(f"{one.stem}\t{small.folder / one.path.name}")
        scale = np.divide(small.shapes[one.stem], read_shape(one.path))
        targets += [f"{one.stem}\t{x:.0f}\t{y:.0f}" for y, x in one.centres * scale]
    model = folder / f"model_epoch{EPOCHS}.sav"
    if not model.is_file():
        for name, lines in (("images", images), ("targets", targets)):
            write_bytes(folder / f"{name}.txt", ("\n".join(lines) + "\n").encode())
        run([
            *topaz_words(topaz), "train", "-d", -1, "--num-workers", 0, "-n", round(expected), "-r", DISC,
            "--train-images", folder / "images.txt", "--train-targets", folder / "targets.txt",
            "--epoch-size", updates, "--num-epochs", EPOCHS, "--save-prefix", folder / "model", "-o", folder / "training.txt",
        ])  # fmt: skip
    return model
