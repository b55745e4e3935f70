"""Parts A and B of the paper's Figures 3 to 5: DRPnet's picks beside another picker's."""
