#!/usr/bin/env bash
# Runs a batch as an array of a real Slurm, on this one machine, and takes its pictures into a gallery; then a training that
# takes longer than its jobs may: it is cut off, queued again and goes on, and ends with the same bytes as one that was not.
#
#   tests/slurm.sh [PROGRAM]     PROGRAM is target/release/atelier where it is not given
#
# Debian's packages slurmctld, slurmd, slurm-client and munge must be there (as root they are installed). Slurm gets a
# configuration, keys, ports and folders of its own; a Slurm that already runs here is not touched. Not part of tests/run.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
fail() { printf 'tests/slurm.sh: %s\n' "$*" >&2; exit 1; }

program=$(realpath "${1:-target/release/atelier}")
[ -x "$program" ] || fail "$program is not there: cargo build --release"
[ "$(id -u)" = 0 ] || fail "the daemons of Slurm start tasks for their users, which only root can"
missing=()
for tool in slurmctld slurmd sbatch munged; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "installing Slurm (missing: ${missing[*]})"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        slurmctld slurmd slurm-client munge >/dev/null
fi

work=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

say "munge, with a key and a socket of its own"
mkdir -p "$work"/{munge,spool,state,share}
chmod 755 "$work"
chmod 700 "$work/munge"
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none
chmod 400 "$work/munge/key"
munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge.socket" --pid-file="$work/munge/pid" \
    --log-file="$work/munge/log" --seed-file="$work/munge/seed" >"$work/munged.out" 2>&1 &
pids+=($!)

say "Slurm, with one node"
host=$(hostname -s)
cpus=$(nproc)
export SLURM_CONF=$work/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=atelier
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$work/munge.socket
SlurmctldPort=26817
SlurmdPort=26818
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
# No control groups: a container has none to give.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
slurmctld -D >"$work/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D >"$work/slurmd.out" 2>&1 &
pids+=($!)
for _ in $(seq 60); do
    state=$(sinfo -h -o %T 2>/dev/null || true)
    [ "$state" = idle ] && break
    sleep 1
done
if [ "${state:-}" != idle ]; then
    tail -n 20 "$work"/slurmctld.* "$work"/slurmd.* "$work"/munged.out >&2
    fail "the node is ${state:-not there}"
fi

say "four rows as an array of two"
export ATELIER=$program ATELIER_HOME=$work/home
table=$work/share/garments.csv
cat >"$table" <<'TABLE'
colour,garment
red,dress
blue,coat
green,shirt
black,boots
TABLE
arguments=(--template "a {colour} {garment}" --steps 8)
sbatch --wait --array=1-2 --cpus-per-task=1 --output="$work/share/log-%a" \
    assets/slurm/batch.sh "$table" "$work/share/out" "${arguments[@]}" || {
    tail -n 20 "$work"/share/log-* >&2
    fail "a task failed"
}
head -n 20 "$work"/share/log-*
ls "$work/share/out"
for share in 1 2; do
    rows=$(grep -c ',ok,' "$work/share/out/garments.results-$share-of-2.csv")
    [ "$rows" = 2 ] || fail "share $share made $rows rows, not 2"
done

say "the results are joined, and nothing is made again"
made=$("$program" batch "$table" --out "$work/share/out" "${arguments[@]}" --json)
[ -z "$made" ] || fail "rows were made again: $made"
cat "$work/share/out/garments.results.csv"
[ "$(grep -c ',ok,' "$work/share/out/garments.results.csv")" = 4 ] || fail "the joined results lack rows"

say "the pictures are taken into the gallery, once"
taken() {
    "$program" gallery import "$work/share/out" --json | tee /dev/stderr
}
taken | grep -q '"taken":4' || fail "not all pictures were taken in"
taken | grep -q '"duplicates":4,.*"taken":0' || fail "pictures were taken in twice"

say "a training that takes longer than a job may"
mkdir "$work/share/pictures"
number=0
for picture in "$work/share/out"/*.png; do
    number=$((number + 1))
    cp "$picture" "$work/share/pictures/$number.png"
    echo "a garment, number $number" >"$work/share/pictures/$number.txt"
done
# settings NAME STEPS: an adapter of the starter, from the pictures of the batch.
settings() {
    cat >"$work/share/$1.toml" <<TOML
dataset = "pictures"
output = "$1"
[pictures]
resolution = 64
bucket_min = 64
[steps]
steps = $2
[optimizer]
warmup_steps = 0
[checkpoints]
every = 50
TOML
}
settings pace 20
"$program" train "$work/share/pace.toml" --json >"$work/pace"
pace=$(grep '"event":"step"' "$work/pace" | tail -n 1 | sed 's/.*"secs_per_step":\([0-9.e-]*\).*/\1/')
# A job of Slurm may run one minute at least.
steps=$(awk -v pace="$pace" 'BEGIN { print int(100 / pace) }')
say "$steps steps of $pace s, a minute for each job"
settings limited "$steps"
job=$(sbatch --parsable --time=1 --signal=B:TERM@20 --cpus-per-task="$cpus" --output="$work/share/training.log" \
    assets/slurm/train.sh "$work/share/limited.toml")
for _ in $(seq 180); do
    state=$(squeue -h -j "$job" -o %T 2>/dev/null || true)
    [ -n "$state" ] || break
    case $state in PENDING | RUNNING | COMPLETING | REQUEUE*) ;; *) break ;; esac
    sleep 5
done
cat "$work/share/training.log"
restarts=$(grep -c 'goes on after step' "$work/share/training.log" || true)
[ "$restarts" -ge 1 ] || fail "the training was not cut off: nothing is shown"
[ -s "$work/share/limited/adapter.safetensors" ] || fail "the training did not come to its end (the job is ${state:-gone})"

say "the same without Slurm and without a limit gives the same file"
settings free "$steps"
"$program" train "$work/share/free.toml" --json >/dev/null
cmp "$work/share/limited/adapter.safetensors" "$work/share/free/adapter.safetensors" || fail "the files differ"
say "all is well: cut off $restarts times"
