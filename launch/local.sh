#!/usr/bin/env bash
# From a fresh clone to a trained autoencoder of a real corpus, on this machine.
#
#   ./launch/local.sh           21,685 concept definitions, a few minutes on two cores
#   ./launch/local.sh --all     89,970 of them
#   ./launch/local.sh --small   2,000 of them and few steps: a trial of the whole way
#
# Sets up .venv, embeds the texts into data/, trains into runs/, and shows what a few
# latents respond to. Safe to run twice: what is done is not done again, and what was
# interrupted goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/setup.sh

name=biomedical
embed=(--subset=core)
train=()
case "${1:-}" in
  "") ;;
  --all) name=biomedical-all; embed=(--subset=all); train=(--config.n_steps=1600) ;;
  --small)
    name=biomedical-small
    embed=(--subset=core --limit=2000)
    train=(--config.n_steps=96 --config.sae.n_latents=512 --config.checkpoint_every_steps=48)
    train+=(--config.log_every_steps=48)
    ;;
  *) echo "local.sh: $1 is not known; expected nothing, --all or --small." >&2; exit 2 ;;
esac

echo "== 1/4 set-up"
set_up
sae_jax=${VENV:-.venv}/bin/sae-jax

echo "== 2/4 texts to embeddings: data/$name"
"$sae_jax" embed --corpus=biomedical "${embed[@]}" --out="data/$name"

echo "== 3/4 embeddings to a sparse autoencoder: runs/$name"
"$sae_jax" train --config=experiments/biomedical.py --config.shards="data/$name" \
  ${train[@]+"${train[@]}"} --workdir="runs/$name"

echo "== 4/4 what its latents respond to"
"$sae_jax" encode "runs/$name"
"$sae_jax" label "runs/$name"
"$sae_jax" families "runs/$name"
"$sae_jax" latents "runs/$name"

echo
echo "Explore it in the browser:  $sae_jax explore runs/$name"
