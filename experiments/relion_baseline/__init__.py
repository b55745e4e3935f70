"""How well does RELION itself pick, by the paper's protocol, on the micrographs that DRPnet is scored on?"""
