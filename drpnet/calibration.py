"""The figure of merit: a logistic model that turns a candidate's scores into the probability of a true particle.

Beside the candidate's own scores it looks at how many good candidates its micrograph has: the same score means a particle
where there are many, and a speck of dust where there are hardly any.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

PRIOR_STRENGTH = 0.1
GOOD, SOFTNESS = 0.25, 0.03
"""The detection score from which a candidate counts as good, and over what range that sets in."""
ENOUGH = 10
"""Micrographs from which on it can be told what crowding says; two or three differ in more than that."""
LEAST = 0.003
"""Good candidates a square of the particle diameter below which a micrograph counts as empty."""


def crowding(heights: np.ndarray, area: float) -> float:
    """Logarithm of how many good candidates there are a square of the particle diameter.

    Detection scores (n,) of all candidates of a micrograph, and its area in such squares.
    """
    good = expit((np.asarray(heights, float) - GOOD) / SOFTNESS).sum()
    return float(np.log(good / area + LEAST))


def fit_logistic(features: np.ndarray, is_true: np.ndarray, known: np.ndarray | float = 0.0) -> tuple[float, ...]:
    """Coefficients (intercept, slopes...) of P(true) = 1 / (1 + exp(-(c0 + features @ c + known))), slopes not negative.

    features (n, k), is_true (n,) from 0 to 1: between where nobody is sure; `known` (n,) is part of the logit from the start.
    Maximum likelihood with a weak normal prior, which keeps separable data finite. A higher score never means a worse
    candidate, so negative slopes are not allowed.
    """
    features = np.asarray(features, float)
    spread, centre = features.std(axis=0), features.mean(axis=0)
    # what is the same for all, as the crowding of a single micrograph, deviates by rounding, and says nothing
    spread = np.where(spread > 1e-6 * np.maximum(1, np.abs(centre)), spread, np.inf)
    scaled = (features - centre) / spread
    truth = np.asarray(is_true, float)
    prior = PRIOR_STRENGTH / len(truth)

    def loss(c: np.ndarray) -> tuple[float, np.ndarray]:
        logit = c[0] + scaled @ c[1:] + known
        weight = (expit(logit) - truth) / len(truth)
        gradient = np.concatenate([[weight.sum()], scaled.T @ weight]) + 2 * prior * c
        return float((np.logaddexp(0, logit) - truth * logit).mean() + prior * c @ c), gradient

    bounds = [(None, None)] + [(0, None)] * features.shape[1]
    fitted = minimize(loss, np.zeros(1 + features.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = fitted[1:] / spread
    return (float(fitted[0] - slopes @ centre), *(float(s) for s in slopes))
