"""The cascade: preprocess -> FCRN -> peaks -> classifier -> picks (paper Figure 1A). The page to read first."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import expit

from drpnet.calibration import Scores, crowding
from drpnet.clarity import clarity
from drpnet.config import PreprocessConfig
from drpnet.io.picks import Candidates
from drpnet.model import Model
from drpnet.networks import channels_last
from drpnet.patches import extract_patches
from drpnet.peaks import Peaks, find_peaks
from drpnet.preprocess import Frame, enlarge, network_frame, preprocess


@dataclass(frozen=True)
class Detection:
    """What the first network found in one micrograph: its frame and the peaks, both in the frame's pixels."""

    frame: Frame
    peaks: Peaks
    distance_map: np.ndarray


class Picker:
    """Picks particles with a trained model; the same picks on any device, tile and batch size within rounding."""

    def __init__(self, model: Model, device: str = "cpu", batch_size: int = 256, tile: int | None = None):
        """Put the networks of `model` on `device`; `tile` (px) and `batch_size` (patches) bound the memory.

        The default tile is as large as stays fast on a CPU: larger layers cost fresh memory each time, twice the time in all.
        Where the network has coarser pixels, `stride` px wide, tiles begin on them.
        """
        self.model = model
        self.device = torch.device(device)
        assert model.fcrn is not None
        self.fcrn = channels_last(model.fcrn).to(self.device).eval()
        self.halo: int | None = getattr(self.fcrn, "halo", None)
        coarsest: int = getattr(self.fcrn, "stride", 1)
        most = tile or max(320, 8 * (self.halo or 0))
        self.batch_size, self.tile = batch_size, max(coarsest, most - most % coarsest)
        self.classifier = channels_last(model.classifier).to(self.device).eval() if model.classifier is not None else None

    def pick(self, image: np.ndarray, pixel_size: float, particle_diameter: float) -> Candidates:
        """All candidates of a micrograph (h, w), strongest first, in its own pixels; diameter in Angstrom."""
        centres, scores = self.scored(image, pixel_size, particle_diameter)
        merit = self.figure_of_merit(scores)
        order = np.argsort(-merit, kind="stable")
        return Candidates(centres[order], merit[order], scores.heights[order], expit(scores.logits)[order])

    def scored(self, image: np.ndarray, pixel_size: float, particle_diameter: float) -> tuple[np.ndarray, Scores]:
        """Centres (n, 2) of all candidates in pixels of the micrograph (h, w), and what the figure of merit looks at."""
        detection = self.detect(image, pixel_size, particle_diameter, graded=False)
        centres = detection.frame.to_micrograph(detection.peaks.centres)
        logits = self.classify(image, pixel_size, particle_diameter, centres)
        return centres, scores_of(detection.frame, detection.peaks.heights, logits)

    def detect(self, image: np.ndarray, pixel_size: float, particle_diameter: float, graded: bool = True) -> Detection:
        """The first stage: distance map and peaks; only training samples need them graded by level."""
        settings = self.model.detection
        if not graded:
            settings = replace(settings, levels=settings.minimum_level)
        frame = preprocess(image, pixel_size, particle_diameter, self.model.preprocess)
        distance_map = enlarge(self.distance_map(network_frame(frame).image), frame.image.shape)
        return Detection(frame, find_peaks(distance_map, frame.particle_diameter_px, settings), distance_map)

    @torch.inference_mode()
    def distance_map(self, image: np.ndarray) -> np.ndarray:
        """The FCRN's map (h, w) of a preprocessed image (h, w), computed tile by tile with the halo the network needs.

        A network without the attribute `halo` sees the whole image at once.
        """
        height, width = image.shape
        down, across = (size if self.halo is None else even_step(size, self.tile) for size in image.shape)
        halo = self.halo or 0
        result = np.empty((height, width), np.float32)
        for top in range(0, height, down):
            for left in range(0, width, across):
                bottom, right = min(top + down, height), min(left + across, width)
                y0, x0 = max(0, top - halo), max(0, left - halo)
                piece = np.ascontiguousarray(image[y0 : bottom + halo, x0 : right + halo])
                tensor = torch.from_numpy(piece)[None, None].to(self.device)
                output = self.fcrn(tensor.contiguous(memory_format=torch.channels_last))[0, 0].cpu().numpy()
                result[top:bottom, left:right] = output[top - y0 : bottom - y0, left - x0 : right - x0]
        return result

    def patches(self, image: np.ndarray, pixel_size: float, diameter: float, centres: np.ndarray) -> np.ndarray:
        """The classifier's patches (n, s, s) around centres (n, 2) of a micrograph, preprocessed at their own scale."""
        frame = preprocess(image, pixel_size, diameter, patch_frame(self.model))
        return extract_patches(frame.image, frame.from_micrograph(centres), self.model.patches.size_px)

    @torch.inference_mode()
    def classify(self, image: np.ndarray, pixel_size: float, diameter: float, centres: np.ndarray) -> np.ndarray:
        """The classifier's logits (n,) for centres (n, 2) of a micrograph; NaN without a classifier."""
        if self.classifier is None or len(centres) == 0:
            return np.full(len(centres), np.nan)
        patches = torch.from_numpy(self.patches(image, pixel_size, diameter, centres))[:, None]
        logits = [self.classifier(batch.to(self.device)).cpu() for batch in patches.split(self.batch_size)]
        return torch.cat(logits).double().numpy()

    def figure_of_merit(self, scores: Scores) -> np.ndarray:
        """Calibrated probability (n,) that a candidate is a particle."""
        calibration = self.model.calibration
        model = calibration.detector if self.classifier is None else calibration.cascade
        probability: np.ndarray = expit(model.logit(scores))
        return probability


def scores_of(frame: Frame, heights: np.ndarray, logits: np.ndarray) -> Scores:
    """What the figure of merit looks at: candidates' detection scores and classifier's logits (n,), and their frame."""
    diameter = frame.particle_diameter_px
    return Scores(heights, logits, crowding(heights, frame.image.size / diameter**2), clarity(frame.image, diameter))


def even_step(size: int, most: int, unit: int = 32) -> int:
    """The px of the pieces, `most` at the most, into which `size` px are cut: about alike, in whole `unit` px where that fits.

    A last sliver would cost its halo.
    """
    even = -(-size // -(-size // most))
    return min(most, -(-even // unit) * unit)


def patch_frame(model: Model) -> PreprocessConfig:
    """The preprocessing of the classifier's patches: gentle, whatever the FCRN's profile is, at the patches' own scale."""
    return PreprocessConfig(
        particle_diameter_px=model.patches.particle_diameter_px,
        outlier_deviations=6.0,
        negative_stain=model.preprocess.negative_stain,
    )
