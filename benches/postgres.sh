# Sourced by benchmarks that need a PostgreSQL server: with $work a new folder, starts one there with its usual settings (every
# commit synced) that only its socket reaches; it sets DHOW_DATABASE_URL, programs and version, and stop_postgres ends it.
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
programs="$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1 || command -v initdb)")"
version="$("$programs/postgres" --version)"
chmod 755 "$work" && mkdir "$work/postgres"
[ "$(id -u)" != 0 ] || chown postgres "$work/postgres"
stop_postgres() { as_postgres "$programs/pg_ctl" -D "$work/postgres/data" -m immediate stop >/dev/null 2>&1 || true; }
(cd "$work/postgres" && as_postgres "$programs/initdb" -D data -A trust -U postgres -E UTF8 >/dev/null \
  && as_postgres "$programs/pg_ctl" -D "$work/postgres/data" -w -l "$work/postgres/log" -o "-k $work/postgres -c listen_addresses=''" start >/dev/null)
export DHOW_DATABASE_URL="postgres://postgres@localhost/postgres?host=$work/postgres"
