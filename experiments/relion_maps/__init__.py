"""Table 3 measured: two pickers' particles through the paper's own pipeline, RELION, on simulated micrographs."""
