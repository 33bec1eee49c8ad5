// Posts events with Segment's public library for Node; fails where a call does not arrive.
const { Analytics } = require("@segment/analytics-node");

const [host, writeKey] = process.argv.slice(2);
const failures = [];
const analytics = new Analytics({ host, writeKey, maxRetries: 0 });
analytics.on("error", (error) => failures.push(error));

const person = { userId: "u-7", anonymousId: "a-1", context: { locale: "en-GB" } };
const cup = { product_id: "507f1f77bcf86cd799439011", price: 18.99 };
analytics.identify({ userId: "u-7", traits: { email: "somebody@example.com" } });
analytics.page({ userId: "u-7", category: "Docs", name: "Node", properties: { url: "https://shop.example" } });
analytics.track({ event: "Products Searched", properties: { query: "cup" }, ...person });
analytics.track({ event: "Product Viewed", properties: cup, ...person });
analytics.track({ event: "Product Added", properties: { ...cup, quantity: 2 }, ...person });
analytics.track({
  event: "Order Completed",
  properties: {
    order_id: "50314b8e9bcf000000000000",
    total: 39.98,
    shipping: 2,
    currency: "USD",
    products: [{ ...cup, quantity: 2, category: "Home > Kitchen" }],
  },
  ...person,
});
analytics.closeAndFlush({ timeout: 10_000 }).then(() => {
  if (failures.length > 0) {
    console.error(failures);
    process.exit(1);
  }
});
