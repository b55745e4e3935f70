"""Table 3 and Figure 6 on simulated micrographs: what the picks of several pickers are worth as a map."""
