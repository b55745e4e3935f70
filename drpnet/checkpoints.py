"""Checkpoints that a kill cannot spoil, and the best one kept when a run is resumed in another folder."""

import io
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from drpnet.io.atomic import whole_file, write_bytes

log = logging.getLogger(__name__)


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, also where the folder for temporary files is on another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the checkpoint beside its place, then put it there."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getvalue())


class Checkpoints(ModelCheckpoint):
    """Lightning's, but a run that is resumed in another folder keeps the best epoch from before.

    Lightning forgets it there, and what follows is the best of the later epochs only.
    """

    resumed: Path | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note where the run goes on from."""
        super().setup(trainer, pl_module, stage)
        self.resumed = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        self.writes = trainer.is_global_zero

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best checkpoint along into this run's folder."""
        before, best = state_dict.get("dirpath"), state_dict.get("best_model_path")
        if self.resumed is None or self.dirpath is None or before == self.dirpath or not best:
            super().load_state_dict(state_dict)
            return
        source, here = self.resumed.parent / Path(best).name, str(Path(self.dirpath) / Path(best).name)
        if not source.is_file():
            log.warning("%s is missing: the best of the epochs before is forgotten", source)
            super().load_state_dict({**state_dict, "best_model_path": ""})
            return
        if self.writes and source.resolve() != Path(here).resolve():
            with whole_file(Path(here)) as temporary:
                shutil.copyfile(source, temporary)
        score = state_dict["best_model_score"]
        moved = {"dirpath": self.dirpath, "best_model_path": here, "kth_best_model_path": here, "best_k_models": {here: score}}
        super().load_state_dict({**state_dict, **moved, "last_model_path": ""})
