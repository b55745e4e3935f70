"""The only door to image and coordinate files, and the only place where (x, y) of a file becomes (y, x)."""
