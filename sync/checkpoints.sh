#!/bin/sh
# Saves while people work. Each checkpoint is a process of its own, so that between two of them a pod holds
# no more than a sleeping shell. When the pod is told to end and its session has not ended (its node is drained),
# a last checkpoint is made in the time that is left, and handed over to the pod that follows.
state=${DEVEX_STATE_FOLDER:-/run/devex}
program=${DEVEX_SYNC_PROGRAM:-bun /opt/devex/sync.mjs}
# Holds since when checkpoints do not come to an end. Where memory runs out everything in this container is killed,
# this shell too, and only the next one can say so.
running=$state/checkpoint-running
ending=
killed_since=
looked=
# What is to end when the pod does: the pause, or a checkpoint, which may be at a big file for longer than there is time.
hurried=
trap 'ending=1; [ -z "$hurried" ] || kill "$hurried" 2>/dev/null' TERM

say_killed() {
  printf '{"unsaved":{"files":0,"bytes":0,"since":"%s","reason":"%s"}}' "$killed_since" "$1" \
    > "$state/save-status.json.new"
  mv "$state/save-status.json.new" "$state/save-status.json"
}

# Its argument is the process that is to end when the pod does, which may have begun to while that process was started.
hurry() {
  hurried=$1
  [ -z "$ending" ] || kill "$hurried" 2>/dev/null
}

must_resume() {
  [ -e "$state/handed-over" ] || [ -e "$state/refilling" ]
}

# Its argument is what the program is to do.
checkpoint() {
  since=${killed_since:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}
  printf '%s' "$since" > "$running.new" && mv "$running.new" "$running"
  $program "$1" &
  child=$!
  [ "$1" = hand-over ] || hurry "$child"
  wait "$child"
  code=$?
  # A signal ends the wait, not what is waited for.
  while [ "$code" -gt 128 ] && kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
  done
  hurried=
  # It was told to end before it could hear that: what it would have said the hand-over says.
  if [ "$code" -le 128 ] || [ "$code" -eq 143 ]; then
    killed_since=
    rm -f "$running"
    return
  fi
  # It could not say so itself.
  killed_since=$since
  say_killed "the $1 was killed (exit code $code)"
}

killed_since=$(cat "$running" 2>/dev/null)
[ -z "$killed_since" ] || say_killed "the last checkpoint was killed, probably because it ran out of memory"

while :; do
  # In a pod that lives on after it has handed over nobody is let in before it has resumed.
  if [ -z "$ending" ] && { [ -n "$looked" ] || ! must_resume; }; then
    sleep "${CHECKPOINT_SECONDS:-10}" &
    hurry "$!"
    wait "$hurried"
    hurried=
  fi
  looked=1
  # One that runs when the end comes may have looked at a file already that changes after it.
  last=$ending
  # Also in the middle of a close: until its save is proven, it asks of a pod that has ended whether that released.
  if [ -n "$last" ]; then task=hand-over
  elif [ -e "$state/closing" ]; then task=
  elif must_resume; then task=resume
  else task=checkpoint
  fi
  if [ "$task" = resume ] || { [ -n "$task" ] && [ -e "$state/restored" ]; }; then checkpoint "$task"; fi
  [ -z "$last" ] || exit 0
done
