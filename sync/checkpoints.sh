#!/bin/sh
# Saves while people work. Each checkpoint is a process of its own, so that between two of them a pod holds
# no more than a sleeping shell. When the pod is told to end without having been closed (its node is drained),
# a last checkpoint is made in the time that is left, and handed over to the pod that follows.
state=${DEVEX_STATE_FOLDER:-/run/devex}
program=${DEVEX_SYNC_PROGRAM:-bun /opt/devex/sync.mjs}
# Holds since when checkpoints do not come to an end. Where memory runs out everything in this container is killed,
# this shell too, and only the next one can say so.
running=$state/checkpoint-running
ending=
killed_since=
trap 'ending=1; [ -z "$pause" ] || kill "$pause" 2>/dev/null' TERM

say_killed() {
  printf '{"unsaved":{"files":0,"bytes":0,"since":"%s","reason":"%s"}}' "$killed_since" "$1" \
    > "$state/save-status.json.new"
  mv "$state/save-status.json.new" "$state/save-status.json"
}

# Its argument is what the program is to do.
checkpoint() {
  since=${killed_since:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}
  printf '%s' "$since" > "$running.new" && mv "$running.new" "$running"
  $program "$1"
  code=$?
  if [ "$code" -le 128 ]; then
    killed_since=
    rm -f "$running"
    return
  fi
  # It could not say so itself.
  killed_since=$since
  say_killed "the checkpoint was killed (exit code $code)"
}

killed_since=$(cat "$running" 2>/dev/null)
[ -z "$killed_since" ] || say_killed "the last checkpoint was killed, probably because it ran out of memory"

while :; do
  if [ -z "$ending" ]; then
    sleep "${CHECKPOINT_SECONDS:-10}" &
    pause=$!
    wait "$pause"
    pause=
  fi
  # One that runs when the end comes may have looked at a file already that changes after it.
  last=$ending
  if [ -n "$last" ]; then
    # A close that has not saved yet finds nothing to save when this pod has ended.
    task=hand-over needless=$state/saved
  else
    task=checkpoint needless=$state/closing
  fi
  if [ -e "$state/restored" ] && [ ! -e "$needless" ]; then checkpoint "$task"; fi
  [ -z "$last" ] || exit 0
done
