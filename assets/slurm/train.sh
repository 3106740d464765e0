#!/usr/bin/env bash
# A training that takes longer than a job may: before the time is up it saves, is queued again, and goes on where it was.
#
#   sbatch --time=8:00:00 --cpus-per-task=16 assets/slurm/train.sh CONFIG [ARGUMENT…]
#
# CONFIG is a file of settings, as `atelier train --preset … --save CONFIG` writes it; the arguments are those of
# `atelier train`. The result has the same bits as that of a training that was never cut off. A job that was killed without
# a warning (or cancelled) is given again by the same line: what came after the last checkpoint is done again.
#
# A step, and the writing of a checkpoint, must fit into the seconds between the signal and the end: three minutes are
# enough for most; say more with --signal=B:TERM@600.
#
#SBATCH --job-name=atelier-train
#SBATCH --cpus-per-task=8
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=atelier-train-%j.log
set -euo pipefail

[ $# -ge 1 ] || { echo "give the file of settings" >&2; exit 2; }

# The kernels use every processor that they see; the job may use those that it was given.
export RAYON_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

"${ATELIER:-atelier}" train "$@" --resume &
training=$!
is_cut_off=
# The program saves after its step and ends well.
trap 'is_cut_off=yes; kill -TERM "$training" 2>/dev/null || true' TERM
code=0
wait "$training" || code=$?
# The signal ends that wait before the program has ended.
if [ -n "$is_cut_off" ] && [ "$code" -gt 128 ]; then
    code=0
    wait "$training" || code=$?
fi
[ "$code" = 0 ] || exit "$code"
if [ -n "$is_cut_off" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
