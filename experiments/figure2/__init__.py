"""The paper's Figure 2: what DRPnet is trained on and what it answers."""
