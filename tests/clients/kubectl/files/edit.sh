#!/bin/sh
# An editor: `sky` gets another colour.
sed -i 's/sky: .*/sky: grey/' "$1"
