"""A row of Weights & Biases for every complete training of a study."""

from hydra.utils import instantiate
from optuna.trial import TrialState

from drpnet.schema import compose_config
from drpnet.sweep.study import Study

LOGGED = "wandb"


def log_rows(study: Study, project: str) -> None:
    """Log the trainings that have no row yet, by conf/logger/wandb.yaml: offline, below the study's folder."""
    done = list(study.optuna.user_attrs.get(LOGGED, []))
    config = compose_config("train", ["logger=wandb"]).logger
    for trial in study.trials():
        if trial.number in done or trial.state != TrialState.COMPLETE:
            continue
        config.update(
            {"save_dir": str(study.folder), "project": project, "name": f"{study.folder.name}-{trial.number}"}
        )
        logger = instantiate(config, group=study.folder.name, reinit="finish_previous")
        logger.log_hyperparams(trial.params)
        logger.log_metrics({study.sweep.metric: trial.value, "seconds": trial.user_attrs.get("seconds", 0.0)})
        logger.experiment.finish()
        done.append(trial.number)
        study.optuna.set_user_attr(LOGGED, done)
