"""Numbers that the schema of a configuration leaves open."""

import pytest

from drpnet.errors import InputError
from drpnet.limits import LOWEST, WHOLE, check_numbers
from drpnet.schema import compose_config


def composed(*words):
    return compose_config("train", ["experiment=trpv1_fcrn", *words])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trainer.max_epochs=x", "trainer.max_epochs is 'x'; give a number"),
        ("trainer.max_epochs=0", "trainer.max_epochs is 0; use at least 1"),
        ("datamodule.batch_size=0", "datamodule.batch_size is 0; use at least 1"),
        ("datamodule.batch_size=2.5", "datamodule.batch_size is 2.5; give a whole number"),
        ("datamodule.patches_per_epoch=abc", "datamodule.patches_per_epoch is 'abc'"),
        ("datamodule.num_workers=-1", "datamodule.num_workers is -1; use at least 0"),
        ("datamodule.augmentation.jitter_px=abc", "jitter_px is 'abc'; give a number"),
        ("module.optimizer.lr=abc", "module.optimizer.lr is 'abc'; give a number"),
        ("module.optimizer.lr=-1", "module.optimizer.lr is -1; use at least 0"),
        ("module.optimizer.lr=nan", "module.optimizer.lr is nan"),
        ("network.width=0", "network.width is 0; use at least 1"),
        ("seed=-1", "seed is -1; use at least 0"),
    ],
)
def test_a_number_that_cannot_work_is_one_line(word, said):
    with pytest.raises(InputError, match=said.replace(".", "[.]")):
        check_numbers(composed(word))


def test_what_is_shipped_passes(repository):
    assert set(LOWEST) >= WHOLE
    for path in sorted((repository / "conf" / "experiment").glob("*.yaml")):
        if not path.stem.endswith("_pick"):
            check_numbers(compose_config("train", [f"experiment={path.stem}"]))
