// Every client with every other, as sender and as receiver.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Baileys } from "./baileys.mjs";
import { Engine } from "./engine.mjs";
import * as sandbox from "./sandbox.mjs";
import { eventually } from "./waiting.mjs";

const KINDS = { baileys6: Baileys, baileys7: Baileys, engine: Engine };
// No picture, but clients send what they are given.
const PICTURE = Buffer.from("ffd8ffe000104a46494600010100000100010000ffd9", "hex");

const pairs = Object.keys(KINDS).flatMap((sender) => Object.keys(KINDS).map((receiver) => [sender, receiver]));

for (const kind of Object.keys(KINDS)) {
  describe(kind, () => {
    test("is linked by a typed code", async () => {
      const client = new KINDS[kind](kind, `${kind} by code`);
      await client.link("code");
      assert.equal((await sandbox.devices(client.phone)).length, 1);
      await client.end();
    });

    test("logs itself out", async () => {
      const client = await KINDS[kind].linked(kind, `${kind} logs out`);
      await client.logout();
      await eventually(async () => (await sandbox.devices(client.phone)).length === 0, "the phone forgets the device");
      await client.end();
    });

    test("is unlinked by its phone", async () => {
      const client = await KINDS[kind].linked(kind, `${kind} is unlinked`);
      const [{ device }] = await sandbox.devices(client.phone);
      await sandbox.unlink(client.phone, device);
      await client.loggedOut();
      await client.end();
    });

    // Version 6 fetches the past from WhatsApp's own host only, and has no tokens for messages.
    if (kind === "baileys6") return;

    test("is told of the past", async () => {
      const { phone } = await sandbox.makePhone(`${kind} with a past`);
      await sandbox.inventHistory(phone, 3, 30);
      const client = new KINDS[kind](kind, `${kind} who is new`, phone);
      await client.link("qr");
      await client.toldOfPast(90);
      await client.end();
    });

    test("writes to who closed the door, once it was given a token", async () => {
      const client = await KINDS[kind].linked(kind, `${kind} at the door`);
      const { phone } = await sandbox.makePhone("closed to strangers");
      await sandbox.restrict(phone);
      await client.received(await sandbox.say(phone, client.phone, "come in"));
      await eventually(async () => {
        await client.sendText(`${phone}@s.whatsapp.net`, "here I am");
        return (await sandbox.shown(phone)).includes("here I am");
      }, "the message is let through");
      await client.end();
    });
  });
}

for (const [from, to] of pairs) {
  describe(`${from} to ${to}`, () => {
    let sender;
    let receiver;

    before(async () => {
      sender = await KINDS[from].linked(from, `${from} who sends`);
      receiver = await KINDS[to].linked(to, `${to} who receives`);
    });

    after(async () => {
      await sender.end();
      await receiver.end();
    });

    test("a text arrives, is answered, delivered and read", async () => {
      const id = await sender.sendText(receiver.jid, "hello");
      const message = await receiver.received(id);
      assert.equal(receiver.textOf(message), "hello");
      await sender.delivered(id);
      await receiver.read(message);
      await sender.seen(id);
      const answer = await receiver.sendText(sender.jid, "hello yourself");
      assert.equal(sender.textOf(await sender.received(answer)), "hello yourself");
    });

    test("a picture arrives as it was", async () => {
      const id = await sender.sendImage(receiver.jid, PICTURE, "look");
      const message = await receiver.received(id);
      assert.equal(receiver.textOf(message), "look");
      assert.deepEqual(await receiver.fileOf(message), PICTURE);
    });

    test("a group is written to and answered", async () => {
      const group = await sender.makeGroup("Supper", [receiver.jid]);
      await receiver.inGroup(group);
      const id = await sender.sendText(group, "who brings bread?");
      const message = await receiver.received(id);
      assert.equal(receiver.chatOf(message), group);
      assert.equal(receiver.textOf(message), "who brings bread?");
      const answer = await receiver.sendText(group, "I do");
      assert.equal(sender.textOf(await sender.received(answer)), "I do");
    });

    test("what was sent to a client that was away comes when it is back", async () => {
      await receiver.disconnect();
      const ids = [];
      for (const text of ["one", "two", "three"]) ids.push(await sender.sendText(receiver.jid, text));
      await receiver.reconnect();
      for (const id of ids) await receiver.received(id);
    });

    test("a connection that breaks is made again and works", async () => {
      receiver.forgetStates();
      await sandbox.dropConnections(receiver.phone);
      await receiver.opened();
      const id = await sender.sendText(receiver.jid, "still there?");
      await receiver.received(id);
    });
  });
}

test("nothing was asked that the sandbox does not know", async () => {
  assert.deepEqual(await sandbox.unhandled(), []);
});
