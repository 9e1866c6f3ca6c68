"""What Katib's image of this name runs, as a name for the trial program."""

import os
import sys

os.execvp("enas-child", ["enas-child", *sys.argv[1:]])
