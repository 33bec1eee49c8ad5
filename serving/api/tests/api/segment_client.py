"""Posts events with Segment's public Python library; fails where a call does not arrive."""
import sys

import segment.analytics as analytics

host, key = sys.argv[1:]
failures = []
analytics.host = host
analytics.write_key = key
analytics.max_retries = 0
analytics.on_error = lambda error, items: failures.append((error, items))

person = {"user_id": "u-7", "anonymous_id": "a-1", "context": {"locale": "en-GB"}}
analytics.identify("u-7", {"email": "somebody@example.com"})
analytics.page("u-7", "Docs", "Python", {"url": "https://shop.example"})
analytics.track(event="Products Searched", properties={"query": "cup"}, **person)
analytics.track(event="Product Viewed", properties={"product_id": "507f1f77bcf86cd799439011", "price": 18.99}, **person)
analytics.track(
    event="Product Added",
    properties={"product_id": "507f1f77bcf86cd799439011", "price": 18.99, "quantity": 2},
    **person,
)
analytics.track(
    event="Order Completed",
    properties={
        "order_id": "50314b8e9bcf000000000000",
        "total": 39.98,
        "shipping": 2,
        "currency": "USD",
        "products": [
            {"product_id": "507f1f77bcf86cd799439011", "price": 18.99, "quantity": 2, "category": "Home > Kitchen"},
        ],
    },
    **person,
)
analytics.shutdown()
assert not failures, failures
