"""Simulated micrographs with known particles: structure -> projections -> CTF -> ice, noise, carbon -> micrograph.

Start with `micrograph.simulate_micrograph`; `dataset.simulate_dataset` writes whole data sets.
"""
