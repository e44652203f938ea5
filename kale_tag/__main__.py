"""`python -m kale_tag`."""

import sys

from kale_tag.cli import main

sys.exit(main())
