// Tells the story of a disk with the official Node SDK and prints what it saw as one JSON object.
// Reads its settings (endpoint, method, signature, keys, instance) as JSON from standard input.
"use strict";

const fs = require("node:fs");
const { cbs } = require("tencentcloud-sdk-nodejs/tencentcloud/services/cbs");

const POLL_MS = 50;
const DEADLINE_MS = 60_000;

async function waitFor(client, disk, state) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const { DiskSet } = await client.DescribeDisks({ DiskIds: [disk] });
    if (DiskSet[0].DiskState === state) return DiskSet[0];
    if (Date.now() > end) throw new Error(`${disk} is ${DiskSet[0].DiskState}, not ${state}`);
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

async function story(settings) {
  const client = new cbs.v20170312.Client({
    credential: { secretId: settings.secretId, secretKey: settings.secretKey },
    region: settings.region,
    profile: {
      signMethod: settings.signature,
      httpProfile: { endpoint: settings.endpoint, protocol: "http://", reqMethod: settings.method },
    },
  });
  const created = await client.CreateDisks({
    Placement: { Zone: settings.zone },
    DiskChargeType: "POSTPAID_BY_HOUR",
    DiskType: "CLOUD_PREMIUM",
    DiskSize: 10,
    DiskName: "by node: ä *~'",
    Shareable: false,
    Tags: [{ Key: "k", Value: "v w" }],
  });
  const disk = created.DiskIdSet[0];
  await waitFor(client, disk, "UNATTACHED");
  await client.AttachDisks({ InstanceId: settings.instance, DiskIds: [disk] });
  const attached = await waitFor(client, disk, "ATTACHED");
  await client.DetachDisks({ DiskIds: [disk] });
  await waitFor(client, disk, "UNATTACHED");
  const found = await client.DescribeDisks({
    Filters: [{ Name: "disk-name", Values: ["nobody", attached.DiskName] }],
  });
  await client.TerminateDisks({ DiskIds: [disk] });
  let refused = null;
  try {
    await client.ResizeDisk({ DiskId: "disk-00000000", DiskSize: 20 });
  } catch (error) {
    refused = { code: error.code, requestId: error.requestId };
  }
  return { disk, attached, found: found.TotalCount, refused };
}

story(JSON.parse(fs.readFileSync(0, "utf8"))).then(
  (seen) => process.stdout.write(JSON.stringify(seen)),
  (error) => {
    process.stderr.write(`${error.code ?? ""} ${error.stack ?? error}\n`);
    process.exitCode = 1;
  },
);
