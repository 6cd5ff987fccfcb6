// Makes calls with the official Node SDK: reads one call a line from standard input and writes what came of it.
"use strict";

const readline = require("node:readline");

const clients = new Map();

function clientOf(call) {
  const name = JSON.stringify([call.Product, call.Region, call.SecretId, call.Token, call.SignMethod, call.HttpMethod]);
  if (!clients.has(name)) {
    const product = require(`tencentcloud-sdk-nodejs/tencentcloud/services/${call.Product}`)[call.Product];
    const { Client } = product[`v${call.Version.replaceAll("-", "")}`];
    const client = new Client({
      credential: { secretId: call.SecretId, secretKey: call.SecretKey, token: call.Token || undefined },
      region: call.Region,
      profile: {
        signMethod: call.SignMethod,
        language: "en-US",
        httpProfile: { endpoint: call.Endpoint, protocol: `${call.Scheme.toLowerCase()}://`, reqMethod: call.HttpMethod },
      },
    });
    clients.set(name, client);
  }
  return clients.get(name);
}

async function outcome(call) {
  const client = clientOf(call);
  try {
    // What the service retired has no method any more; the SDK's own generic way is left.
    const answer = client[call.Action]
      ? await client[call.Action](call.Parameters)
      : await client.request(call.Action, call.Parameters);
    return { answer };
  } catch (error) {
    return { error: { code: error.code ?? "ClientError", message: error.message, requestId: error.requestId ?? "" } };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await outcome(JSON.parse(line)))}\n`);
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exitCode = 1;
});
