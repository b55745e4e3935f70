"""How fast DRPnet picks, beside Topaz: see README.md. Not part of the package."""
