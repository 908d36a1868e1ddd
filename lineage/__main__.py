"""`python -m lineage` is the `lineage` command."""

import sys

from lineage.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
