"""python -m benchmarks.versions: the versions and the commit that are measured, as JSON."""

import json

from drpnet.provenance import git_commit, versions

if __name__ == "__main__":
    print(json.dumps({**versions(), "commit": git_commit()}))
