"""python -m drpnet.cli: the same as `drpnet`."""

from drpnet.cli import main

if __name__ == "__main__":
    main()
