#!/bin/sh
# Loads a part of what is selected: load.sh ID, with the variables that the plan names for it.
#
# Two runs in one Meltano project would overwrite each other's catalog, so each shard has a system
# folder, with the installed plugins linked into it. Its state is there too: a shard that was
# stopped goes on where it was, and the next extract starts from its beginning. The rest is an
# ordinary run, with the project's own state. `--force`: for minutes after a run was killed, Meltano
# takes it for running; that no part runs twice at a time is the orchestrator's to see to.
set -eu
cd "${AUTODESK_PROJECT:-$(dirname "$0")}"
meltano=${MELTANO:-venv/bin/meltano}
if [ "$1" = rest ]; then
    exec "$meltano" run --force tap-autodesk-exports "${TARGET:-target-postgres}"
fi
export MELTANO_SYS_DIR_ROOT="$PWD/.meltano/shards/$1"
mkdir -p "$MELTANO_SYS_DIR_ROOT"
for plugins in extractors loaders; do
    ln -sfn "$PWD/.meltano/$plugins" "$MELTANO_SYS_DIR_ROOT/$plugins"
done
exec "$meltano" run --force --state-id-suffix "$1" tap-autodesk-exports "${TARGET:-target-postgres}"
