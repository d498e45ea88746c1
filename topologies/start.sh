#!/bin/sh
# npm start                     controller and a lab of three hosts, an example intent, who can ping whom; Ctrl-C ends it
# npm start -- --once           the same as a check: exit code 0 only when everything that should talk did, and nothing else
# npm start -- controller …     the controller alone     (weft controller --help)
# npm start -- agent …          the agent of one host    (weft agent --help)
set -u
cd "$(dirname "$0")/.." || exit 1
. topologies/prepare.sh

case ${1:-} in
  controller | agent)
    [ "$1" = agent ] && need=agent || need=build
    weft_prepare "$need" || exit 1
    exec node dist/cli/main.js "$@"
    ;;
  *)
    weft_prepare agent || exit 1
    exec node dist/topologies/demo.js "$@"
    ;;
esac
