#!/usr/bin/env bash
# One run on all hosts of a TPU VM slice, from your own machine; they find each other.
#
#   TPU=my-slice ZONE=us-central2-b ./launch/tpu.sh \
#     --config=experiments/wordnet.py --workdir=/mnt/shared/runs/wordnet
#
# Expects this repository, set up, in ~/sae_jax on every host, and shards and workdir on
# storage that all of them mount. Safe to run again: the run goes on where it was.
set -euo pipefail
: "${TPU:?set TPU to the name of the slice}" "${ZONE:?set ZONE to its zone}"
printf -v arguments '%q ' "$@"
exec gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all \
  --command="cd ~/sae_jax && ./launch/again.sh .venv/bin/sae-jax train $arguments"
