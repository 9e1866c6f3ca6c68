"""Stands for the program of Katib's image simple-pbt: pbt-toy takes the same flags."""

import os
import sys

os.execvp("pbt-toy", ["pbt-toy", *sys.argv[1:]])
