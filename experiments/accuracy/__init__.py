"""Every accuracy measured on real micrographs in one place, with intervals and paired differences."""
