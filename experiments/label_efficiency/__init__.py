"""How many labels a data set of one's own needs: the shipped network tuned on few of them, beside Topaz."""
