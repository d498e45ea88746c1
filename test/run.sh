#!/bin/sh
# npm test                 everything: unit tests (two at a time), then system tests (real Open vSwitch, etcd, …)
# npm test -- unit         unit tests only; needs no root and no Debian packages
# npm test -- system       system tests only
# npm test -- system NAME  those whose file name contains NAME
# Ends with a line "N passed, N failed" and exits non-zero when anything failed.
set -u
cd "$(dirname "$0")/.." || exit 1
. topologies/prepare.sh

what=${1:-all}
name=${2:-}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

report() { # the totals of all TAP files, and the exit code
  node test/total.mjs "$results"
}

case $what in
  all | system) need=test ;;
  unit) need=unit ;;
  *)
    weft_say "unknown tests '$what': one of unit, system, or nothing for both"
    exit 2
    ;;
esac
if ! weft_prepare "$need"; then
  echo '0 passed, 1 failed'
  exit 1
fi
run() { # $1: unit or system, $2: jobs
  files=$(node test/select.mjs "$1" "$name")
  [ -n "$files" ] || return 0
  # shellcheck disable=SC2086 # a list of files
  set -- "$1" "$2" $files
  kind=$1 jobs=$2
  shift 2
  weft_say "$kind tests: $# files, $jobs at a time"
  begun=$(date +%s)
  {
    node test/runner.mjs "$jobs" "$@"
    echo $? >"$results/$kind.exit"
  } | tee "$results/$kind.tap" | node test/reporter.mjs
  weft_say "$kind tests took $(($(date +%s) - begun)) s"
}

case $what in
  all | unit) run unit 2 ;;
esac
case $what in
  all | system) run system 1 ;;
esac
report
