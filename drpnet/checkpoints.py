"""Where a training starts from and what it keeps: checkpoints that a kill cannot spoil, weights of other runs."""

import io
import logging
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import nn

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file, write_bytes
from drpnet.io.regular import require_no_pipe
from drpnet.model import load_model

log = logging.getLogger(__name__)
LIGHTNING = ("epoch", "global_step", "pytorch-lightning_version", "loops", "optimizer_states", "lr_schedulers")
"""What a checkpoint to resume from holds beside the weights."""


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


def start_from(weights: str, stage: str, network: nn.Module) -> None:
    """Give a network the weights of a model file's network of the same stage; InputError for one of other layers."""
    known = getattr(load_model(weights), stage)
    if known is None:
        raise InputError(f"initial_weights={weights} holds no {stage}; give a model that does")
    try:
        network.load_state_dict(known.state_dict())
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"initial_weights={weights} is of another network ({reason}); "
            f"give a model whose {stage} is this {type(network).__name__}"
        ) from None


def check_checkpoint(path: str, module: LightningModule) -> None:
    """Raise InputError for a file that is no checkpoint, or one of another network."""
    try:
        require_no_pipe(Path(path))
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
        module.load_state_dict(checkpoint["state_dict"])
        if lacking := [key for key in LIGHTNING if key not in checkpoint]:
            raise KeyError(lacking[0])
    except InputError:
        raise
    except Exception as error:  # nearly anything can come of what is no checkpoint
        reason = " ".join(str(error).splitlines()[:2])[:200]
        if isinstance(error, (pickle.UnpicklingError, EOFError)):
            reason = "it is no checkpoint"
        raise InputError(
            f"resume={path} does not fit ({type(error).__name__}: {reason}); "
            "give checkpoints/last.ckpt of a run with this same model"
        ) from None


def restore_best(trainer: Trainer, module: LightningModule) -> None:
    """Put the weights of the best checkpoint, where one was kept, back into the module."""
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if best:
        module.load_state_dict(torch.load(best, weights_only=True, map_location="cpu")["state_dict"])
