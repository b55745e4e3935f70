import numpy as np
import pytest
from scipy.ndimage import uniform_filter


class Smoothed:
    """A micrograph (h, w), each pixel the mean over a square within a particle, in standard deviations."""

    def __init__(self, image: np.ndarray, width: int) -> None:
        means = uniform_filter(image, width)
        self.values = (means - means.mean()) / means.std()
        self.shape = image.shape

    def contrast(self, centres: np.ndarray) -> float:
        """How much darker the places (n, 2) are than all places; about 0 for random ones."""
        rows, columns = np.round(centres).astype(int).clip(0).T
        inside = (rows < self.shape[0]) & (columns < self.shape[1])
        return -float(self.values[rows[inside], columns[inside]].mean())


@pytest.fixture(scope="session")
def smoothed() -> type[Smoothed]:
    """Measures how dark places are: `smoothed(image, width).contrast(centres)`."""
    return Smoothed
