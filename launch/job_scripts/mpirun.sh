#!/usr/bin/env bash
# Trains on plain machines until the run is done, and starts it again after a stop or a crash of a rank.
#
#   launch/job_scripts/mpirun.sh -np 4 -- run.toml run.directory=runs/first
#   launch/job_scripts/mpirun.sh -np 8 -H nodeA:4,nodeB:4 -- run.toml run.directory=runs/first
#
# Before "--": options of mpirun. After it: what `lockstep train` takes; run.directory must be among it.
# kill -USR2 (or -TERM) to this script saves the state, ends with 75 and starts nothing again.
#
# Environment: LOCKSTEP (the program; default: lockstep), MOST_RESTARTS (default 20).
# Ends with the code of the last start: 0 done, 75 stopped on request; 64, 65, 70, 74, 78 are errors that a new start
# would only repeat. A start that got no further than the one before ends the loop too.
set -u

lockstep=${LOCKSTEP:-lockstep}
most_restarts=${MOST_RESTARTS:-20}

mpi_options=()
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
  mpi_options+=("$1")
  shift
done
if [ $# -lt 2 ]; then
  echo "usage: $0 [MPIRUN OPTION ...] -- RUN_FILE run.directory=RUN_DIR [KEY=VALUE ...]" >&2
  exit 64
fi
shift

directory=
for argument in "$@"; do
  case $argument in run.directory=*) directory=${argument#run.directory=} ;; esac
done
if [ -z "$directory" ]; then
  echo "$0: expected run.directory=RUN_DIR among the arguments" >&2
  exit 64
fi

asked=0
mpirun_pid=
pass_on() {
  asked=1
  [ -n "$mpirun_pid" ] && kill -USR2 "$mpirun_pid" 2>/dev/null
}
trap pass_on USR1 USR2 TERM INT

# The newest checkpoint's name, size and time stand for "how far": they change whenever a start has saved something.
progress() { ls -ln --time-style=full-iso "$directory/checkpoints" 2>/dev/null | grep -v "^total" | cksum; }

restarts=0
while :; do
  before=$(progress)
  mpirun "${mpi_options[@]}" "$lockstep" train "$@" run.if_exists=resume &
  mpirun_pid=$!
  # bash runs a trap between commands, so an interrupted wait is taken up again.
  while :; do
    wait "$mpirun_pid"
    code=$?
    kill -0 "$mpirun_pid" 2>/dev/null || break
  done
  mpirun_pid=

  case $code in
    0 | 64 | 65 | 70 | 74 | 78) exit "$code" ;;
  esac
  [ "$asked" -eq 1 ] && exit 75
  # What is left: 75 that nobody here asked for, a killed rank (137, 143, 139), a lost node (205).
  if [ "$(progress)" = "$before" ]; then
    echo "$0: ended with $code and saved nothing new; not started again" >&2
    exit "$code"
  fi
  restarts=$((restarts + 1))
  if [ "$restarts" -gt "$most_restarts" ]; then
    echo "$0: ended with $code after $most_restarts restarts; not started again" >&2
    exit "$code"
  fi
  echo "$0: ended with $code; restart $restarts of at most $most_restarts" >&2
done
