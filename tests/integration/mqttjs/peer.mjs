// A client of MQTT.js that obeys lines on its standard input, in the words of ../paho_c/peer.c.
// Usage: node peer.mjs URI VERSION [CA CERTIFICATE KEY]; mqtt is found beside this file.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import mqtt from "mqtt";

const [uri, version, authority, certificate, key] = process.argv.slice(2);
const five = version === "5";
let client;

const hexadecimal = (bytes) => (bytes && bytes.length ? Buffer.from(bytes).toString("hex") : "-");
const decoded = (text) => (text === "-" ? Buffer.alloc(0) : Buffer.from(text, "hex"));

function say(...words) {
  process.stdout.write(words.join(" ") + "\n");
}

function arrived(topic, payload, packet) {
  const properties = packet.properties ?? {};
  say("message", topic, packet.qos, packet.retain ? 1 : 0, hexadecimal(payload),
    properties.responseTopic ?? "-", hexadecimal(properties.correlationData));
}

function connect([id, clean, topic, payload, qos, retain]) {
  const options = {
    clientId: id,
    clean: clean === "1",
    protocolVersion: five ? 5 : 4,
    reconnectPeriod: 0,
    connectTimeout: 60_000,
  };
  if (five) {
    options.properties = { sessionExpiryInterval: options.clean ? 0 : 3600 };
  }
  if (topic) {
    options.will = { topic, payload: decoded(payload), qos: Number(qos), retain: retain === "1" };
  }
  if (authority) {
    options.ca = readFileSync(authority);
    options.cert = readFileSync(certificate);
    options.key = readFileSync(key);
  }
  return new Promise((done, fail) => {
    client = mqtt.connect(uri, options);
    client.on("message", arrived);
    client.once("connect", (connack) => done(["connected", connack.sessionPresent ? 1 : 0]));
    client.once("error", fail);
    client.once("close", () => fail(new Error("closed")));
  });
}

async function subscribe([filter, qos]) {
  const granted = await client.subscribeAsync(filter, { qos: Number(qos) });
  return ["subscribed", granted[0].qos];
}

async function publish([topic, qos, retain, payload, responseTopic, correlation]) {
  const options = { qos: Number(qos), retain: retain === "1" };
  if (responseTopic) {
    options.properties = { responseTopic, correlationData: decoded(correlation) };
  }
  await client.publishAsync(topic, decoded(payload), options);
  return ["published"];
}

async function flood([topic, qos, count]) {
  const sent = [];
  for (let i = 0; i < Number(count); ++i) {
    sent.push(client.publishAsync(topic, String(i), { qos: Number(qos) }));
  }
  await Promise.all(sent);
  return ["published"];
}

async function disconnect() {
  await client.endAsync();
  return ["disconnected"];
}

const verbs = { connect, subscribe, publish, flood, disconnect };

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...words] = line.split(" ");
  try {
    say(...(await verbs[verb](words)));
  } catch (error) {
    say("error", String(error.message ?? error).replaceAll("\n", " "));
  }
}
process.exit(0);
