// Takes webhooks and verifies them with the public library of Standard Webhooks for Node: says its port, reads lines of a secret
// and how many verified messages it is not to take, and writes a line of JSON for each message.
const http = require("node:http");
const readline = require("node:readline");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const state = { webhook: null, refusals: 0 };
const say = (text) => process.stdout.write(text + "\n");

function verified(body, headers) {
  try {
    return state.webhook.verify(body, headers).id === headers["webhook-id"];
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString("utf8");
    const right = verified(body, request.headers);
    const taken = right && state.refusals === 0;
    if (right && !taken) state.refusals -= 1;
    const { id, type } = JSON.parse(body);
    const signatures = request.headers["webhook-signature"].split(" ").length;
    say(JSON.stringify({ verified: right, id, type, signatures }));
    response.writeHead(taken ? 204 : 503).end();
  });
});
server.listen(0, "127.0.0.1", () => say(String(server.address().port)));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [secret, refusals] = line.split(" ");
  Object.assign(state, { webhook: new Webhook(secret), refusals: Number(refusals) });
  say("ready");
}).on("close", () => process.exit(0));
