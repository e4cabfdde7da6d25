#!/usr/bin/env bash
# A Slurm job that survives its time limit and preemption: copy it, edit the lines below, then
#
#   sbatch slurm.sh run.toml run.directory=runs/first
#
# 120 seconds before the end Slurm signals this shell (the B: below; without it the shell would learn nothing), which
# passes it on; the ranks save after the running step and end with 75; the job goes back into the queue and goes on
# from there. A requeued job waits about two minutes before it may start.
#SBATCH --job-name=lockstep
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.txt
#SBATCH --signal=B:USR2@120

# Environment: LOCKSTEP (the program; default: lockstep), LAUNCHER (default: mpirun; for srun:
# LAUNCHER="srun --mpi=pmix --kill-on-bad-exit=1"), MOST_RESTARTS (default 50).
set -u

lockstep=${LOCKSTEP:-lockstep}
launcher=${LAUNCHER:-mpirun}
most_restarts=${MOST_RESTARTS:-50}

if [ $# -lt 1 ]; then
  echo "usage: sbatch $0 RUN_FILE run.directory=RUN_DIR [KEY=VALUE ...]" >&2
  exit 64
fi
directory=
for argument in "$@"; do
  case $argument in run.directory=*) directory=${argument#run.directory=} ;; esac
done
if [ -z "$directory" ]; then
  echo "$0: expected run.directory=RUN_DIR among the arguments" >&2
  exit 64
fi

launcher_pid=
asked=0
pass_on() {
  asked=1
  [ -n "$launcher_pid" ] && kill -USR2 "$launcher_pid" 2>/dev/null
}
trap pass_on USR1 USR2 TERM

# Checkpoints' names, sizes and times stand for "how far"; kept beside them over a requeue.
progress() { ls -ln --time-style=full-iso "$directory/checkpoints" 2>/dev/null | grep -v "^total" | cksum; }
mark=$directory/.last_start
before=$(progress)

# The same line the first time and every later time.
$launcher "$lockstep" train "$@" run.if_exists=resume &
launcher_pid=$!
# bash runs a trap between commands, so an interrupted wait is taken up again.
while :; do
  wait "$launcher_pid"
  code=$?
  kill -0 "$launcher_pid" 2>/dev/null || break
done

case $code in
  0 | 64 | 65 | 70 | 74 | 78) exit "$code" ;;
esac
echo "$0: ended with $code (stop asked for: $asked, restart ${SLURM_RESTART_COUNT:-0})" >&2

# Two starts in a row that saved nothing new: a third would not either.
if [ "$(progress)" = "$before" ] && [ "$(cat "$mark" 2>/dev/null)" = "$before" ]; then
  echo "$0: no progress since the last start; not queued again" >&2
  exit "$code"
fi
if [ "${SLURM_RESTART_COUNT:-0}" -ge "$most_restarts" ]; then
  echo "$0: $most_restarts restarts are used up; not queued again" >&2
  exit "$code"
fi
[ -d "$directory" ] && progress > "$mark"

# A preempted job is queued again by Slurm itself; where the cluster did it already, this says so and does no harm.
if [ -n "${SLURM_JOB_ID:-}" ] && command -v scontrol > /dev/null; then
  scontrol requeue "$SLURM_JOB_ID" || true
fi
exit "$code"
