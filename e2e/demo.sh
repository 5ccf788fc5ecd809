#!/usr/bin/env bash
# The demonstration, `make demo`: bin/rerankd demo with the arguments given, in front of a node of its own unless --cluster names one.
# The node's data stays in .cache/demo, so that a second demonstration finds its index filled.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RERANKD_CACHE:-$here/../.cache}
demo=("$here/../bin/rerankd" demo --cache "$cache/demo")
for argument; do
  case $argument in --cluster | --cluster=*) exec "${demo[@]}" "$@" ;; esac
done
echo "Starting OpenSearch 2.19.1 …" >&2
exec "$here/cluster/cluster.sh" with opensearch-2.19.1 "$cache/demo/opensearch-2.19.1" -- \
  bash -c 'exec "$@" --cluster "$RERANKD_CLUSTER"' demo "${demo[@]}" "$@"
