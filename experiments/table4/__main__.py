"""python -m experiments.table4: what the paper's Table 4 implies, and DRPnet measured by every rule that may be behind it."""

import argparse
import sys
from pathlib import Path

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from experiments.table4.report import tables
from experiments.table4.run import Options, table4
from experiments.table4.sources import CHOICES

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Compute, write result.json and the figure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the data root; else DRPNET_DATA, else data")
    parser.add_argument("--source", default="auto", choices=(*CHOICES, "none"), help="none: the arithmetic alone")
    parser.add_argument("--micrographs", nargs="+", default=(), metavar="NAME", help="only these, by name without suffix")
    parser.add_argument("--weights", default="cascade")
    parser.add_argument("--authors", type=Path, help="the authors' .star files; else DATA/real/empiar10017/drpnet2019")
    parser.add_argument("--manual", type=Path, help="the archive's labels; else DATA/real/empiar10017/empiar_manual")
    parser.add_argument("--peers", type=Path, help="a folder of picks a peer; else DATA/real/empiar10017/peers")
    parser.add_argument("--result", type=Path, default=HERE / "result.json", help="the figure lies beside it")
    arguments = vars(parser.parse_args())
    path = arguments.pop("result")
    try:
        result = table4(Options(**arguments))
    except InputError as error:
        sys.exit(f"error: {error}")
    write_json(result, path)
    if "rows" in result:
        # drawn only here: matplotlib takes long to import
        from experiments.table4.figure import draw

        draw(result, path.with_name("figure.png"))
    print(tables(result))


if __name__ == "__main__":
    main()
