"""From a finished training run to the weights that the package ships, with their model card."""
