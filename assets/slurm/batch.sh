#!/usr/bin/env bash
# A table over many machines: each task of a Slurm array makes its share of the rows.
#
#   sbatch --array=1-8 assets/slurm/batch.sh TABLE OUT [ARGUMENT…]
#
# TABLE and OUT lie where all machines see them; the arguments are those of `atelier batch`. A task that was stopped, or
# whose rows failed, is given again with the same array: what is made is not made twice. When all have ended:
#
#   atelier batch TABLE --out OUT [ARGUMENT…]     joins the results into one file (and makes what is still missing)
#   atelier gallery import OUT                    takes the pictures into this machine's gallery
#
#SBATCH --job-name=atelier
#SBATCH --array=1-4
#SBATCH --cpus-per-task=4
#SBATCH --output=atelier-%A_%a.log
set -euo pipefail

[ $# -ge 2 ] || { echo "give the table and the folder for the pictures" >&2; exit 2; }
table=$1 out=$2
shift 2

# The shares are counted from 1, and all of them must run.
if [ "${SLURM_ARRAY_TASK_MIN:-0}" != 1 ] || [ "$SLURM_ARRAY_TASK_MAX" != "$SLURM_ARRAY_TASK_COUNT" ]; then
    echo "the array must be 1 to the number of shares, as in --array=1-8" >&2
    exit 2
fi

# The kernels use every processor that they see; the task may use those that it was given.
export RAYON_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

exec "${ATELIER:-atelier}" batch "$table" --out "$out" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "$@"
