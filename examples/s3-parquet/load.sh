#!/bin/sh
# Writes what is selected as Parquet files into a bucket: load.sh s3://BUCKET/autodesk/RUN
#
# Each run has its own folder, so that COPY takes what is new. There is no target: of the messages,
# the last state is kept, which the next run starts with. What an API answers at once, such as
# insights_contexts, comes as RECORD messages and stays in messages.jsonl. Settings come from the
# environment, and so do the credentials of AWS; the tap needs `tap-autodesk-exports[s3]`.
set -eu
export TAP_AUTODESK_EXPORTS_BATCH_CONFIG='{
  "encoding": {"format": "parquet"}, "storage": {"root": "'"$1"'"}, "batch_size": 1000000
}'
test -e state.json || echo '{}' >state.json
code=0
"${TAP:-tap-autodesk-exports}" --config ENV --state state.json ${CATALOG:+--catalog "$CATALOG"} \
    >messages.jsonl || code=$?
# What was loaded is in the state also where a stream has failed: the next run tries it again.
"${PYTHON:-python3}" -c '
import json, sys
messages = (json.loads(line) for line in sys.stdin)
states = [each["value"] for each in messages if each["type"] == "STATE"]
print(json.dumps(states[-1]) if states else open("state.json").read())
' <messages.jsonl >state.new
mv state.new state.json
exit "$code"
