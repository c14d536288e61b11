"""``python -m demo``."""

import sys

from toolkit.process import ended_by_ctrl_c

with ended_by_ctrl_c():
    from .app import main

sys.exit(main())
