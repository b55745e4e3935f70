"""Does the released pipeline, run by this package with the authors' own network, give the picks that they shipped?"""
