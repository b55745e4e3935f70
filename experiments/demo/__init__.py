"""The page that `make demo` ends with."""
