#!/bin/sh
# npm run topo                          which topologies there are
# npm run topo -- torus 3 3             a controller, the topology in mininet under it, mininet's command line
# npm run topo -- torus --test pingall  the same as a check; any test of mn
set -u
cd "$(dirname "$0")/.." || exit 1
. topologies/prepare.sh

case ${1:-} in
  '' | -h | --help) weft_prepare build || exit 1 ;;
  *) weft_prepare mininet || exit 1 ;;
esac
exec node dist/topologies/topo.js "$@"
