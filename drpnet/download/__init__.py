"""Download the micrographs and coordinates of an archive entry: parallel, resumable, checked."""
