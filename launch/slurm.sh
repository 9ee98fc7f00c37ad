#!/usr/bin/env bash
# sae-jax as a SLURM job. A run on all of its GPUs, a process for each, which find each other;
# or a sweep, whose members the jobs of an array, and the processes of each, share:
#
#   sbatch --nodes=2 --ntasks-per-node=4 --gpus-per-node=4 launch/slurm.sh \
#     train --config=experiments/wordnet.py --workdir=/shared/runs/wordnet
#   sbatch --array=0-3 --gpus=1 launch/slurm.sh \
#     sweep --config=experiments/wordnet_grid.py --workdir=/shared/runs/grid
#
# The workdir and the shards have to be on a file system that all nodes share. Before the
# time limit SLURM sends SIGTERM: the run saves and the job puts itself in the queue again.
#SBATCH --job-name=sae-jax
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail
sae_jax=${VENV:-.venv}/bin/sae-jax

# A lost process ends the others by themselves, with a message; srun need not kill them.
srun --kill-on-bad-exit=0 "$sae_jax" "$@"
code=$?
case $code in
  75 | 134 | 137 | 143) scontrol requeue "$SLURM_JOB_ID" ;;
esac
exit "$code"
