"""What Katib's image of this name runs, as a name for the trial program."""

import os
import sys

os.execvp("darts-supernet", ["darts-supernet", *sys.argv[1:]])
