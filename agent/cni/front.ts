/**
 * The executable that runtimes start: a shell script, because a process of Node takes fifty times as long to start. It passes the
 * environment and standard input to the agent and prints what comes back; only VERSION it answers itself, so that a runtime can be
 * configured while no agent runs.
 */
import { CNI_VERSIONS, CniCode } from './protocol.js';

/** By this line a front of any version is known. */
export const FRONT_MARK = '# Front of the agent of Weft for the Container Network Interface.';

const NEWEST = CNI_VERSIONS[CNI_VERSIONS.length - 1] ?? '';

/** @param socket of the agent, unless the network configuration has a `socket` or the environment `WEFT_CNI_SOCKET` */
export function frontScript(socket: string): string {
  const versions = CNI_VERSIONS.map((version) => `"${version}"`).join(',');
  return `#!/bin/sh
${FRONT_MARK}
# Written by "weft agent --install-cni", which also replaces it. Needs curl 7.43 or newer.
set -u

# Seconds that an agent which is just being restarted is waited for.
patience=5
# Seconds that an operation may take; the agent has deadlines of its own.
limit=300

fail() { # code, message, details
  printf '{"cniVersion":"%s","code":%d,"msg":"%s","details":"%s"}\\n' "$version" "$1" "$2" "$3"
  exit 1
}

# Without a process for it: reading and passing on take a third of the time of curl otherwise.
configuration=
line=
[ -t 0 ] || while IFS= read -r line || [ -n "$line" ]; do
  configuration="$configuration$line
"
done
version=${NEWEST}
case $configuration in
  *'"cniVersion"'*)
    rest=\${configuration#*'"cniVersion"'}
    rest=\${rest#*\\"}
    asked=\${rest%%\\"*}
    case $asked in
      *[!0-9.]*) ;;
      ?*) version=$asked ;;
    esac
    ;;
esac
command=\${CNI_COMMAND:-}
if [ "$command" = VERSION ]; then
  printf '{"cniVersion":"%s","supportedVersions":[%s]}\\n' "$version" '${versions}'
  exit 0
fi

socket=\${WEFT_CNI_SOCKET:-}
if [ -z "$socket" ]; then
  socket='${socket.replaceAll("'", `'\\''`)}'
  case $configuration in
    *'"socket"'*)
      rest=\${configuration#*'"socket"'}
      rest=\${rest#*\\"}
      case $rest in /*) socket=\${rest%%\\"*} ;; esac
      ;;
  esac
fi

unavailable=${CniCode.tryAgainLater}
[ "$command" != STATUS ] || {
  unavailable=${CniCode.unavailable}
  patience=0
}
command -v curl >/dev/null || fail "$unavailable" 'curl is not installed' 'the CNI plugin of Weft needs it to speak to the agent'

tried=0
while :; do
  answer=$(
    exec curl -q --silent --noproxy '*' --max-time "$limit" --unix-socket "$socket" \\
      --header "cni-command: $command" --header "cni-containerid: \${CNI_CONTAINERID:-}" \\
      --header "cni-netns: \${CNI_NETNS:-}" --header "cni-ifname: \${CNI_IFNAME:-}" \\
      --header "cni-args: \${CNI_ARGS:-}" --header "cni-path: \${CNI_PATH:-}" \\
      --header 'content-type: application/json' --header 'expect:' --data-binary @- \\
      --write-out '\\n%{http_code}' http://weft/cni <<END
$configuration
END
  )
  why=$?
  # 7: nobody listens.
  [ "$why" -eq 7 ] && [ "$tried" -lt "$patience" ] || break
  tried=$((tried + 1))
  sleep 1
done
status=\${answer##*
}
body=\${answer%
*}
case $status in
  200)
    [ -z "$body" ] || printf '%s\\n' "$body"
    exit 0
    ;;
  [1-9]*)
    printf '%s\\n' "$body"
    exit 1
    ;;
esac
fail "$unavailable" 'the agent of Weft does not answer' "curl says $why for $socket: is the agent running with --cni?"
`;
}
