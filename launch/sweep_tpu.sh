#!/usr/bin/env bash
# A sweep on spot TPU VMs: one queued resource for each task, each a slice of a single host.
#
#   TASKS=4 NAME=grid ZONE=us-west4-a TYPE=v5litepod-8 RUNTIME=v2-alpha-tpuv5-lite \
#   REPOSITORY=https://github.com/you/sae_jax.git BUCKET=name-of-your-bucket \
#     ./launch/sweep_tpu.sh --config=experiments/wordnet_grid.py \
#     --config.shards=/bucket/data/wordnet-glosses --workdir=/bucket/runs/grid
#
# Each VM clones REPOSITORY, mounts BUCKET at /bucket, and trains its share of the members.
# Run again, it asks anew for the slices that were taken away, and leaves the others as they
# are; the sweep goes on from its last checkpoints. DELETE=1 gives all of them back. What a
# VM is doing: gcloud compute tpus tpu-vm ssh NAME-0 --zone=ZONE --command="journalctl -f".
set -euo pipefail
: "${TASKS:?how many tasks share the members}" "${NAME:?of the queued resources}" "${ZONE:?}"

gcloud_tpus() { gcloud compute tpus queued-resources "$@" --zone="$ZONE"; }
state_of() { gcloud_tpus describe "$1" --format='value(state.state)' 2>/dev/null || true; }

if [ -n "${DELETE:-}" ]; then
  for ((task = 0; task < TASKS; task++)); do
    gcloud_tpus delete "$NAME-$task" --force --quiet --async
  done
  exit
fi
: "${TYPE:?of the slice, such as v5litepod-8}" "${RUNTIME:?such as v2-alpha-tpuv5-lite}"
: "${REPOSITORY:?what to clone}" "${BUCKET:?the name of a bucket}"
printf -v arguments '%q ' "$@"
startup=$(mktemp)
trap 'rm -f "$startup"' EXIT

for ((task = 0; task < TASKS; task++)); do
  state=$(state_of "$NAME-$task")
  case $state in
    "") ;;
    SUSPENDED | SUSPENDING | FAILED) gcloud_tpus delete "$NAME-$task" --force --quiet ;;
    *)
      echo "$NAME-$task: $state"
      continue
      ;;
  esac
  cat >"$startup" <<SCRIPT
#!/usr/bin/env bash
set -euxo pipefail
mkdir -p /bucket
if ! mountpoint -q /bucket; then gcsfuse --implicit-dirs $(printf %q "$BUCKET") /bucket; fi
[ -d /opt/sae_jax ] || git clone --depth 1 $(printf %q "$REPOSITORY") /opt/sae_jax
cd /opt/sae_jax
. launch/setup.sh && set_up
.venv/bin/python -m pip install --quiet -e '.[tpu]'
./launch/again.sh .venv/bin/sae-jax sweep ${arguments}--task_index=$task --task_count=$TASKS
SCRIPT
  gcloud_tpus create "$NAME-$task" --node-id="$NAME-$task" --accelerator-type="$TYPE" \
    --runtime-version="$RUNTIME" --spot --metadata-from-file=startup-script="$startup"
  echo "$NAME-$task: asked for"
done
