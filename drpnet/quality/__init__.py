"""`drpnet quality`: what the particles of a picker are worth in three dimensions, from the files of their refinement."""
