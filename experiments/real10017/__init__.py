"""How good is DRPnet on real micrographs: cross-validation on EMPIAR-10017, the shipped weights on four entries."""
