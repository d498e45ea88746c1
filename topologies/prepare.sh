# Makes a fresh clone runnable: Debian packages, npm packages, compiled code. Sourced by topologies/start.sh and
# test/run.sh with the repository as the current directory; each step is skipped when its result is already there.
#
#   weft_prepare build         what `weft controller` needs: npm packages and compiled code
#   weft_prepare agent         that, and what `weft agent` and the namespace lab need: Open vSwitch, iproute2, …
#   weft_prepare mininet       that, and mininet
#   weft_prepare unit          what `build` gives, and tap's test class
#   weft_prepare test          all of that, and what the system tests need: mininet, etcd, tshark, …

weft_say() { printf 'weft: %s\n' "$*" >&2; }
weft_fail() {
  weft_say "$*"
  return 1
}

# "<how to see that it is there> <Debian package>": a command's name, python:<module>, or file:<path>.
weft_agent_needs='
  ovs-vswitchd  openvswitch-switch
  ovsdb-server  openvswitch-switch
  ip            iproute2
  tc            iproute2
  ping          iputils-ping
  arping        iputils-arping
  ethtool       ethtool
  ps            procps
  tcpdump       tcpdump
'
weft_mininet_needs="$weft_agent_needs"'
  mn            mininet
  iperf         iperf
'
weft_test_needs="$weft_mininet_needs"'
  etcd          etcd-server
  etcdctl       etcd-client
  tshark        tshark
  iperf3        iperf3
  fuser         psmisc
  dockerd       docker.io
  podman        podman
  runc          runc
  conmon        conmon
  busybox       busybox-static
  udhcpc        udhcpc
  file:/usr/lib/cni/bridge  containernetworking-plugins
  python:scapy  python3-scapy
  python:os_ken python3-os-ken
'

# Debian keeps most of these in sbin, which a user's PATH may lack.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

weft_has() {
  case $1 in
    python:*) /usr/bin/python3 -c "import importlib.util as u, sys; sys.exit(u.find_spec('${1#python:}') is None)" 2>/dev/null ;;
    file:*) [ -e "${1#file:}" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

weft_missing_packages() { # $1: list of needs
  printf '%s\n' "$1" | while read -r probe package; do
    [ -z "$probe" ] || weft_has "$probe" || printf '%s\n' "$package"
  done | sort -u | tr '\n' ' '
}

weft_packages() { # $1: list of needs
  missing=$(weft_missing_packages "$1")
  [ -n "$missing" ] || return 0
  install="apt-get install --yes --no-install-recommends $missing"
  command -v apt-get >/dev/null 2>&1 || weft_fail "missing: $missing (Debian's names); install them and run this again" || return 1
  [ "$(id -u)" = 0 ] || weft_fail "missing packages; as root, run:  apt-get update && $install" || return 1
  weft_say "installing Debian packages: $missing"
  log=$(mktemp)
  # A package list may be old or absent on a fresh machine; a broken mirror of something else must not stop us.
  apt-get update >"$log" 2>&1 || true
  # shellcheck disable=SC2086 # the list is meant to be split
  if ! DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends \
    $missing >>"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    weft_fail "'$install' failed, see above"
    return 1
  fi
  rm -f "$log"
  missing=$(weft_missing_packages "$1")
  [ -z "$missing" ] || weft_fail "still missing after the installation: $missing"
}

weft_node() {
  command -v node >/dev/null 2>&1 || weft_fail 'Node.js 20.19 or newer is needed (24 recommended), see https://nodejs.org' || return 1
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    weft_fail "Node.js $(node --version) is too old: 20.19 or newer is needed (24 recommended)"
}

weft_npm() {
  # A link is a work tree that shares the packages of another: taken as it is.
  [ -L node_modules ] && return 0
  if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    weft_say 'installing npm packages (npm ci)'
    npm ci --no-audit --no-fund --loglevel=error >&2 || weft_fail "'npm ci' failed, see above" || return 1
    touch node_modules/.package-lock.json # the lock may be stamped later than the installation of what it names
  fi
}

weft_build() {
  weft_say 'building (tsc)'
  node_modules/.bin/tsc -p . >&2 || weft_fail "the build failed, see above"
}

# tap makes a test class from the plugins that .taprc names; npm ci brings the default one back.
weft_tap_build() {
  [ -f node_modules/.tap-build ] && cmp -s .taprc node_modules/.tap-build && return 0
  weft_say 'building the test class (tap build)'
  node_modules/.bin/tap build >/dev/null || weft_fail "'tap build' failed, see above" || return 1
  cp .taprc node_modules/.tap-build
}

weft_prepare() {
  weft_node || return 1
  case $1 in
    agent) weft_packages "$weft_agent_needs" || return 1 ;;
    mininet) weft_packages "$weft_mininet_needs" || return 1 ;;
    test) weft_packages "$weft_test_needs" || return 1 ;;
  esac
  weft_npm && weft_build || return 1
  case $1 in
    unit | test) weft_tap_build ;;
  esac
}
