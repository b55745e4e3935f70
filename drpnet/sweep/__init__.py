"""Sweeps: many trainings that search for better settings, as processes of their own, in one resumable study."""
