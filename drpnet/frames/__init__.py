"""Frames that coordinates can be in, and what the micrographs say about them. Start with `diagnosis.diagnose`."""
