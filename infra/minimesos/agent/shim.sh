#!/bin/sh
# The shim: one per task, in a session of its own, so that the task outlives the agent.
#
#   supervise TASKDIR PROCS PATH COMMAND...   claims the task, runs COMMAND in its own session, waits, writes the exit
#   command   TASKDIR PROCS PATH COMMAND...   is the process that becomes COMMAND
#
# PROCS is the cgroup.procs to join, or empty; PATH is the command's: the shim finds its own tools by the agent's.
#
#   S1. `shim` is created exclusively: who creates it first, shim or agent, decides whether the task runs.
#   S2. `exit` appears whole or not at all.
#   S3. What the command leaves behind in its group ends with it.
#
# A shell reads its script as it goes: `case` is read whole before it runs, so that a newer version of this file put
# in its place meanwhile does no harm.
case $1 in
supervise)
  dir=$2
  set -C
  IFS= read -r stat < "/proc/$$/stat" && printf '%s\n' "$stat" > "$dir/shim" || exit 1
  set +C
  trap : HUP INT TERM # not ignored, which the command would inherit
  # A status of 137 may mean exit(137) or SIGKILL. The shell knows, and tells only on its own stderr: "Killed".
  exec 3>&2 2> "$dir/signal"
  shift
  (exec setsid /bin/sh "$0" command "$@" 2>&3 3>&-)
  status=$?
  read -r pid rest < "$dir/command" && kill -s KILL -- "-$pid" 2> /dev/null
  # Of these two the shell says nothing, and nobody exits with them for another reason.
  if [ -s "$dir/signal" ] || [ $status = 130 ] || [ $status = 141 ]; then
    how=signal status=$((status - 128))
  else
    how=status
  fi
  printf '%s %s\n' $how $status > "$dir/exit.tmp" && mv "$dir/exit.tmp" "$dir/exit"
  exit
  ;;
command)
  dir=$2 procs=$3 PATH=$4
  shift 4
  IFS= read -r stat < "/proc/$$/stat" && printf '%s\n' "$stat" > "$dir/command" || exit 1
  if [ -n "$procs" ]; then echo 0 > "$procs" || exit 1; fi
  command -v "$1" > /dev/null || { echo "Failed to execute '$1': no such program" >&2; exit 1; }
  exec "$@"
  ;;
esac
