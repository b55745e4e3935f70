"""Table 3, reconstructions of DRPnet's and RELION's particles: what its numbers say, and what recomputing them needs."""
