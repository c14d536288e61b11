"""``python -m toolkit``."""

import sys

from .process import ended_by_ctrl_c

with ended_by_ctrl_c():
    from .cli import main

sys.exit(main())
