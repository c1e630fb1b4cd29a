"""``python -m inference``: the local model server on loopback."""

import sys

from inference.serve import main

sys.exit(main())
