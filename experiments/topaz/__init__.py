"""Topaz's general detectors on the real micrographs that DRPnet is scored on."""
