"""Pages of orders of tables of 1,000 to ROWS_MAX rows: lists.py DHOW LOAD DATA_FOLDER WORK_FOLDER [ROWS_MAX] [ROUNDS].

The database of DHOW_DATABASE_URL has one order, made by a checkout over HTTP. Databases beside it get copies of it with
buyers, sellers, states and times of their own, ten times as many in each as in the one before. Each has a server, and the
servers take turns ROUNDS times to give pages of 50 orders: the first of all, one anywhere in the list, of a buyer, of a
seller, in a state. The figures are medians over the rounds. Where a page of the largest table takes the time of the
smallest, the list is flat.
"""

import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

DHOW, LOAD, DATA, WORK = sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])
ROWS_MAX = int(sys.argv[5]) if len(sys.argv) > 5 else 10_000_000
ROUNDS = int(sys.argv[6]) if len(sys.argv) > 6 else 5
DATABASE = os.environ["DHOW_DATABASE_URL"]
FIRST_PORT = 8200
# So few that each has a full page of the smallest table.
BUYERS, SELLERS = 20, 20
STATES = ["placed", "cancelled", "fulfilled"]
PAGE, REQUESTS, RATE, SECONDS = 50, 500, 100, 3
START_SECONDS_MAX = 60


class Postgres:
    """The server of the URL, through psql; foreign keys are not asked while rows are copied."""

    series = "generate_series(CAST({first} AS BIGINT), {last}) AS n"
    before = ["SET session_replication_role = replica"]
    hexadecimal = "lpad(to_hex({value}), 12, '0')"
    indexes = "SELECT indexname || E'\\t' || indexdef FROM pg_indexes WHERE tablename = '{table}' AND indexname LIKE '{table}\\_by\\_%'"
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
    after = ["VACUUM ANALYZE orders", "VACUUM ANALYZE order_lines", "CHECKPOINT"]

    def url(self, rows: int) -> str:
        return DATABASE.replace("/postgres?", f"/orders_{rows}?")

    def clone(self, rows: int) -> None:
        self.run(DATABASE.replace("/postgres?", "/template1?"), [f"CREATE DATABASE orders_{rows} TEMPLATE postgres"])

    def run(self, url: str, statements: list[str]) -> list[str]:
        """The first column of what the statements answer."""
        command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", url]
        done = subprocess.run(command, input=";\n".join(statements) + ";\n", capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return done.stdout.splitlines()


class Sqlite:
    """The file of the URL."""

    series = "(WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n < {last}) SELECT n FROM s)"
    before = ["PRAGMA foreign_keys = OFF", "PRAGMA synchronous = OFF"]
    hexadecimal = "printf('%012x', {value})"
    indexes = "SELECT name || char(9) || sql FROM sqlite_master WHERE tbl_name = '{table}' AND name LIKE '{table}_by_%'"
    columns = "SELECT name FROM pragma_table_info('{table}') ORDER BY cid"
    after = ["ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"]

    def url(self, rows: int) -> str:
        return DATABASE.replace(".db", f"_{rows}.db")

    def clone(self, rows: int) -> None:
        self.run(DATABASE, [f"VACUUM INTO '{self.url(rows).removeprefix('sqlite://')}'"])

    def run(self, url: str, statements: list[str]) -> list[str]:
        """The first column of what the statements answer."""
        connection = sqlite3.connect(url.removeprefix("sqlite://"), isolation_level=None)
        answers = [row for statement in statements for row in connection.execute(statement)]
        connection.close()
        return [row[0] for row in answers]


database = Sqlite() if DATABASE.startswith("sqlite") else Postgres()


class Server:
    """A server of a database, on a port and a copy of the data folder of its own."""

    def __init__(self, url: str, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        data, self.log = WORK / f"data-{port}", WORK / f"server-{port}.log"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(DATA, data)
        settings = {"DHOW_DATABASE_URL": url, "DHOW_SERVER_REQUESTS_PER_SECOND": "100000"}
        command = [DHOW, "serve", "--data-dir", data, "--bind", self.address[7:]]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, env=os.environ | settings, stderr=log)
        for _ in range(START_SECONDS_MAX * 10):
            try:
                urllib.request.urlopen(self.address + "/readyz", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        sys.exit(self.log.read_text()[-4000:])

    def ask(self, path: str, body: dict | None = None, method: str | None = None) -> dict:
        """An answer."""
        headers = {"content-type": "application/json", "idempotency-key": f"lists-{path}"}
        content = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.address + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait(60)


def identifier(prefix: str, value: str) -> str:
    """SQL for an id whose last digits are a number."""
    return f"'{prefix}_01890a5d-ac96-774b-8000-' || " + database.hexadecimal.format(value=value)


def first_order(server: Server) -> dict:
    """The order that the others are copies of."""
    seller, buyer = (f"{kind}_01890a5d-ac96-774b-8000-0000000fffff" for kind in ("sel", "buy"))
    product = server.ask("/v1/products", {
        "seller": seller, "reference": "cup", "title": "Cup", "category": "home", "region": "GB", "weight_grams": 300,
        "price": {"amount": "1500", "currency": "USD"},
    })["id"]
    server.ask(f"/v1/products/{product}/stock", {"on_hand": 10}, "PUT")
    server.ask("/v1/checkouts", {
        "buyer": buyer, "region": "GB", "delivery_region": "GB", "payment_method": "wallet",
        "lines": [{"product": product, "quantity": 2}],
    })
    return server.ask("/v1/orders?limit=1")["items"][0]


def copy(url: str, table: str, of: str, changes: dict[str, str], last: int) -> str:
    """The statement that copies the first order's row for the numbers from 1 to `last`."""
    columns = database.run(url, [database.columns.format(table=table)])
    values = ", ".join(changes.get(column, column) for column in columns)
    series = database.series.format(first=1, last=last)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, {series} WHERE {of}"


def fill(rows: int, order: dict, created_at: int) -> None:
    """Makes a database of so many orders, each a second older than the one before; indexes are made anew."""
    database.clone(rows)
    url, last = database.url(rows), rows - 1
    state = "CASE n % 3 " + " ".join(f"WHEN {i} THEN '{state}'" for i, state in enumerate(STATES)) + " END"
    changes = {
        "id": identifier("ord", "n"),
        "checkout": identifier("chk", f"n / {SELLERS}"),
        "seller": identifier("sel", f"n % {SELLERS}"),
        "buyer": identifier("buy", f"(n / {SELLERS}) % {BUYERS}"),
        "state": state,
        "created_at": f"{created_at} - 1000000 * n",
    }
    indexes = [line.split("\t", 1) for table in ("orders", "order_lines") for line in database.run(url, [database.indexes.format(table=table)])]
    statements = [f"DROP INDEX {name}" for name, _ in indexes]
    statements.append(copy(url, "orders", f"id = '{order['id']}'", changes, last))
    lines = {"order_id": identifier("ord", "n")}
    statements.append(copy(url, "order_lines", f"order_id = '{order['id']}'", lines, last))
    statements += [text for _, text in indexes]
    database.run(url, database.before + statements + database.after)


def requests(rows: int, created_at: int, draw: random.Random) -> dict[str, list[str]]:
    """Paths by kind of page."""
    def cursor(n: int) -> str:
        return f"{created_at - 1_000_000 * n}:ord_01890a5d-ac96-774b-8000-{n:012x}".encode().hex()

    page = f"/v1/orders?limit={PAGE}"
    several = range(REQUESTS)
    return {
        "first": [page],
        "anywhere": [f"{page}&cursor={cursor(draw.randrange(1, rows))}" for _ in several],
        "buyer": [f"{page}&buyer=buy_01890a5d-ac96-774b-8000-{draw.randrange(BUYERS):012x}" for _ in several],
        "seller": [f"{page}&seller=sel_01890a5d-ac96-774b-8000-{draw.randrange(SELLERS):012x}" for _ in several],
        "state, anywhere": [f"{page}&state={draw.choice(STATES)}&cursor={cursor(draw.randrange(1, rows))}" for _ in several],
    }


def load(server: Server, rows: int, kind: str) -> dict:
    """One run of the load generator."""
    requests = WORK / f"{rows}-{kind}.ndjson"
    command = [LOAD, "--url", server.address, "--requests", requests, "--rate", str(RATE), "--seconds", str(SECONDS), "--warmup", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    result = next(json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("RESULT "))
    if result["failed"]:
        sys.exit(f"{rows} orders, {kind}: {result}")
    return result


def main() -> None:
    server = Server(DATABASE, FIRST_PORT)
    order = first_order(server)
    server.stop()
    created_at = int(database.run(DATABASE, [f"SELECT created_at FROM orders WHERE id = '{order['id']}'"])[0])
    sizes = [10**digits for digits in range(3, 8) if 10**digits <= ROWS_MAX]
    draw, kinds, servers = random.Random(7), [], {}
    for number, rows in enumerate(sizes):
        begun = time.monotonic()
        fill(rows, order, created_at)
        paths = requests(rows, created_at, draw)
        kinds = list(paths)
        for kind in kinds:
            lines = [json.dumps({"method": "GET", "path": path}) + "\n" for path in paths[kind]]
            (WORK / f"{rows}-{kind}.ndjson").write_text("".join(lines))
        print(f"{rows} orders filled in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        servers[rows] = Server(database.url(rows), FIRST_PORT + 1 + number)
    runs: dict[tuple[str, int], list[dict]] = {}
    for _ in range(ROUNDS):
        for kind in kinds:
            for rows in sizes:
                runs.setdefault((kind, rows), []).append(load(servers[rows], rows, kind))
    for server in servers.values():
        server.stop()
    names = ("latency_us_p50", "latency_us_p99")
    figures = {
        kind: {name: {rows: statistics.median(run[name] for run in runs[kind, rows]) for rows in sizes} for name in names}
        for kind in kinds
    }
    raw = {f"{kind}, {rows}": [[run[name] for name in names] for run in found] for (kind, rows), found in runs.items()}
    print("RESULT", json.dumps({"page": PAGE, "rate_per_s": RATE, "rounds": ROUNDS, "orders": figures, "raw": raw}))


main()
