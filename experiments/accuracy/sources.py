"""What other experiments counted: by set of micrographs, picker and way of scoring, true picks, picks and labels."""

from collections.abc import Iterable
from typing import Any

from experiments.real10017.data import ENTRIES, counts
from experiments.topaz.programs import DETECTORS
from experiments.topaz.scores import FINER_PIXEL_SIZE

Counts = dict[str, list[int]]
"""By micrograph: true picks, picks, labels."""
Pickers = dict[str, dict[str, Counts]]
"""By picker and way: `default` and `best` threshold, each within half a diameter or, `tight_`, 0.2 of one."""

WEIGHTS = {"default": "DRPnet", "left_out": "DRPnet left_out", "cascade": "DRPnet cascade"}
STAGES = {"unet": "DRPnet U-Net", "classifier": "DRPnet cascade", "fcrn": "DRPnet FCRN"}
PEERS = {"crYOLO": "crYOLO", "topaz": "Topaz, published picks", "deepPicker": "DeepPicker"}
CROSSVALIDATED = "empiar10017, cross-validated"


def sets(real10017: dict[str, Any], topaz: dict[str, Any]) -> dict[str, Pickers]:
    """The sets of micrographs, each with its pickers, from the results of experiments/real10017 and experiments/topaz."""
    found = {CROSSVALIDATED: crossvalidated(real10017, topaz["folds"]["folds"])}
    for name in ENTRIES:
        pickers = {said: real10017["shipped"][weights]["entries"][f"{name} x1"] for weights, said in WEIGHTS.items()}
        pickers["Laplacian of Gaussian"] = real10017["shipped"]["default"]["entries"][f"{name} LoG"]
        for detector in DETECTORS:
            pickers[f"Topaz {detector}"] = topaz["entries"][name][detector]
            if name in topaz["finer"]:
                pickers[f"Topaz {detector}, {FINER_PIXEL_SIZE:g} A a pixel"] = topaz["finer"][name][detector]
        found[name] = {said: row["counts"] for said, row in pickers.items()}
    return found


def crossvalidated(real10017: dict[str, Any], topaz_folds: Iterable[dict[str, Any]]) -> Pickers:
    """The seven micrographs that carry the peers' picks: every picker's one threshold is its default."""
    part = real10017["crossvalidation"]
    pickers = {said: _joined(fold[stage] for fold in part["folds"]) for stage, said in STAGES.items()}
    pickers |= {said: _joined([part["peers"][peer]]) for peer, said in PEERS.items()}
    pickers["Topaz resnet8, trained on the folds"] = _joined(topaz_folds)
    seven = next(iter(pickers.values()))["default"]
    unseen = real10017["shipped"]["left_out"]["entries"]["empiar10017 x1"]["counts"]
    ways = {way: {stem: unseen[way][stem] for stem in seven} for way in ("default", "tight_default")}
    return {**pickers, "DRPnet left_out, untrained": ways}


def _joined(parts: Iterable[dict[str, Any]]) -> dict[str, Counts]:
    ways: dict[str, Counts] = {"default": {}, "tight_default": {}}
    for part in parts:
        ways["default"] |= counts(part["scores"])
        ways["tight_default"] |= counts(part["tight"])
    return ways
