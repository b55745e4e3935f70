"""What every part of DRPnet is worth: one change at a time, five paired seeds, equal steps."""
