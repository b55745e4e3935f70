"""`drpnet doctor`: do coordinates lie on the particles of their micrographs? Start with `examine.examine`."""
