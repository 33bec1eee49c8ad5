"""Writes request files for the load generator from the demo's data: requests.py DHOW DATA_FOLDER OUT_FOLDER."""

import json
import subprocess
import sys
from pathlib import Path

dhow, data, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])


def rows(query: str) -> list[dict]:
    """The rows of one query over the lake."""
    done = subprocess.run([dhow, "sql", query, "--json", "--data-dir", data], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def write(name: str, requests: list[dict]) -> None:
    """One request on each line."""
    (out / f"{name}.ndjson").write_text("".join(json.dumps(request) + "\n" for request in requests))


views = rows("SELECT session, buyer, region FROM product_viewed ORDER BY event_time DESC LIMIT 5000")
write("recommend", [
    {"method": "POST", "path": "/v1/recommendations", "body": {**view, "surface": "home", "count": 20}} for view in views
])
# Of the same visits, as a storefront asks for visitors that it does not know.
write("recommend-session", [
    {"method": "POST", "path": "/v1/recommendations", "body": {"session": view["session"], "region": view["region"], "surface": "home", "count": 20}}
    for view in views
])
columns = "buyer, checkout, session, device, card, address, region, delivery_region, payment_method, line_count, quantity, total_minor, total_currency, total_usd_minor"
checkouts = rows(f"SELECT {columns} FROM checkout_submitted ORDER BY event_time DESC LIMIT 5000")
for checkout in checkouts:
    checkout["total"] = {"amount": str(checkout.pop("total_minor")), "currency": checkout.pop("total_currency")}
# What was sold in the last fortnight is in the catalogue still.
on_offer = rows("""SELECT product, count(*) AS n FROM item_ordered
    WHERE event_time > (SELECT max(event_time) FROM item_ordered) - INTERVAL '14 days' GROUP BY product ORDER BY product LIMIT 1000""")
# Each checkout of two or three products of the catalogue, in turn; one key a request, as a storefront sends it.
write("checkout", [
    {
        "method": "POST", "path": "/v1/checkouts", "keyed": True,
        "body": {key: checkout[key] for key in ("buyer", "session", "device", "card", "address", "region", "delivery_region", "payment_method")}
        | {"lines": [{"product": on_offer[(3 * i + j) % len(on_offer)]["product"], "quantity": 1 + (i + j) % 3} for j in range(2 + i % 2)]},
    }
    for i, checkout in enumerate(checkouts)
])
write("stock", [{"method": "PUT", "path": f"/v1/products/{offer['product']}/stock", "body": {"on_hand": 100_000_000}} for offer in on_offer])
write("score", [{"method": "POST", "path": "/v1/fraud/scores", "body": checkout} for checkout in checkouts])
products = rows("SELECT product, count(*) AS n FROM item_ordered GROUP BY product ORDER BY n DESC LIMIT 500")
write("forecast", [
    {"method": "GET", "path": f"/v1/forecasts/{product['product']}?horizon=28&quantiles=0.1,0.5,0.9"} for product in products
])
buyers = rows("SELECT buyer, card, device FROM checkout_submitted WHERE card IS NOT NULL AND device IS NOT NULL ORDER BY event_time DESC LIMIT 5000")
done = subprocess.run([dhow, "features", "list", "--json"], check=True, capture_output=True, text=True)
views = [view for view in json.loads(done.stdout) if view["entity"] in (["buyer"], ["card"], ["device"])]
names = [name for view in views for name in view["features"]][:50]
keys = sorted({view["entity"][0] for view in views if set(view["features"]) & set(names)})
entities = [{key: row[key] for key in keys} for row in buyers]
write("features", [
    {"method": "POST", "path": "/v1/features", "body": {"features": names, "entities": entities[i:i + 100]}}
    for i in range(0, len(entities) - 100, 100)
])
write("feature-row", [
    {"method": "POST", "path": "/v1/features", "body": {"features": names, "entities": [entity]}} for entity in entities
])
