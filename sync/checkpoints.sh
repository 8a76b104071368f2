#!/bin/sh
# Saves while people work. Each checkpoint is a process of its own, so that between two of them a pod holds
# no more than a sleeping shell. When the pod is told to end without having been closed (its node is drained),
# a last checkpoint is made in the time that is left.
restored=/run/devex/restored
closing=/run/devex/closing
ending=
trap 'ending=1; [ -z "$pause" ] || kill "$pause" 2>/dev/null' TERM
while :; do
  if [ -z "$ending" ]; then
    sleep "${CHECKPOINT_SECONDS:-10}" &
    pause=$!
    wait "$pause"
    pause=
  fi
  if [ -e "$restored" ] && [ ! -e "$closing" ]; then node /opt/devex/sync.mjs checkpoint; fi
  [ -z "$ending" ] || exit 0
done
