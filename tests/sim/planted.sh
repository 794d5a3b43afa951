#!/bin/sh
# A bug that is planted in the server must be found within so many worlds in which the plain server
# does what it should: planted.sh SIM BUG LAST_SEED
set -u
if ! "$1" --seeds "1..$3"; then
  echo "the plain server has findings of its own there"
  exit 1
fi
if "$1" --seeds "1..$3" --plant "$2"; then
  echo "$2 was not found"
  exit 1
fi
