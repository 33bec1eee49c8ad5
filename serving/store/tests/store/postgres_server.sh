# A PostgreSQL server of its own: FOLDER. It listens on a socket in FOLDER alone, says `ready`, and is stopped with its folder
# removed when this script's standard input ends.
set -eu
folder=$1
initdb=$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1)
[ -n "$initdb" ] || initdb=$(command -v initdb) || { echo "PostgreSQL is not installed: install the package \`postgresql\`"; exit 1; }
programs=$(dirname "$initdb")
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
cd "$folder"
stop() { as_postgres "$programs/pg_ctl" -D "$folder/data" -m immediate stop </dev/null >/dev/null 2>&1 || true; cd /; rm -rf "$folder"; }
trap stop EXIT
as_postgres "$programs/initdb" -D "$folder/data" -A trust -U postgres -E UTF8 --no-sync </dev/null >"$folder/initdb.log" 2>&1
as_postgres "$programs/pg_ctl" -D "$folder/data" -w -l "$folder/data/server.log" \
  -o "-k $folder -c listen_addresses='' -c max_connections=200 -c fsync=off" start </dev/null >"$folder/start.log" 2>&1
echo ready
cat >/dev/null
