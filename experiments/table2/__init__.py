"""The facts of the paper's Table 2, from the data set configurations, against what the paper says and what is on disk."""
