"""The FCRN learns: trained on one micrograph, it finds that micrograph's particles."""

from drpnet.datasets import open_dataset
from drpnet.model import load_model
from drpnet.schema import compose_config, train_settings
from drpnet.scoring import pick_all, score
from drpnet.train import WEIGHTS, train


def test_the_first_network_overfits_one_micrograph(tmp_path):
    """F above 0.95 on the micrograph that it saw, at the best threshold; next to untrained it is far below."""
    words = [
        "experiment=trpv1_fcrn", "dataset=simulated_trpv1", f"data_root={tmp_path}", "dataset.test=[]",
        "dataset.simulation.micrographs=1", "dataset.simulation.height=420", "dataset.simulation.width=420",
        "dataset.simulation.particles_per_micrograph=24", "dataset.simulation.snr_range=[0.1,0.1]",
        "dataset.simulation.carbon_probability=0", "dataset.simulation.contamination_probability=0", "logger=none",
        "callbacks.progress._target_=pytorch_lightning.Callback", "+trainer.enable_progress_bar=false",
        "trainer.accelerator=cpu", f"callbacks.checkpoint.dirpath={tmp_path}/checkpoints", "datamodule.batch_size=8",
    ]  # fmt: skip
    best = {}
    for name, more in {
        "trained": ["trainer.max_epochs=3", "datamodule.patches_per_epoch=320"],
        "untrained": ["trainer.max_epochs=1", "datamodule.patches_per_epoch=8", "module.optimizer.lr=1e-9"],
    }.items():
        config = compose_config("train", [*words, *more])
        train(config, tmp_path / name)
        data = open_dataset(train_settings(config).dataset)
        assert 10 < len(data.train[0].centres) <= 24
        picked = pick_all(load_model(tmp_path / name / WEIGHTS), data.train, data.particle_diameter, "Picking")
        best[name] = score(picked, data.train)["best_f_measure"]
    assert best["trained"] > 0.95
    assert best["untrained"] < 0.8
