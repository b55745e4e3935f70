"""One folder a claim: run as `python -m experiments.<claim>`; never imported by drpnet."""
