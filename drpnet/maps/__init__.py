"""`drpnet maps`: what picks are worth in three dimensions, on simulated micrographs whose particles' poses are known.

Picks are matched to the particles, true ones get the orientation that they have, and half maps are summed from them, so
that no refinement stands between a pick and its map: `known_poses` -> `half_maps` -> `compare`.
"""
