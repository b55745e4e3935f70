"""DRPnet: automated particle picking in cryo-electron micrographs by deep regression (Nguyen et al. 2019)."""

__version__ = "0.1.0"
