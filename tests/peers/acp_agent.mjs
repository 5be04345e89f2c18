// An agent of ACP with the SDK of npm: it repeats what it is told, and asks for permission, or hangs until it is cancelled.
import { Readable, Writable } from "node:stream";
import { agent, methods, ndJsonStream } from "@agentclientprotocol/sdk";

const OPTIONS = [
  { optionId: "y", name: "Allow", kind: "allow_once" },
  { optionId: "n", name: "No", kind: "reject_once" },
];
let cancelled;

function say(client, sessionId, text) {
  const update = { sessionUpdate: "agent_message_chunk", content: { type: "text", text } };
  return client.notify(methods.client.session.update, { sessionId, update });
}

async function prompt({ params: { sessionId, prompt }, client }) {
  await say(client, sessionId, `you said ${prompt[0].text}`);
  if (prompt[0].text === "hang") {
    await new Promise((resolve) => { cancelled = resolve; });
    return { stopReason: "cancelled" };
  }
  const toolCall = { toolCallId: "t1", title: "rm" };
  const { outcome } = await client.request(methods.client.session.requestPermission, { sessionId, toolCall, options: OPTIONS });
  await say(client, sessionId, JSON.stringify(outcome));
  return { stopReason: "end_turn" };
}

const info = { name: "toy", version: "1" };
agent({ name: "toy" })
  .onRequest(methods.agent.initialize, () => ({ protocolVersion: 1, agentCapabilities: {}, agentInfo: info }))
  .onRequest(methods.agent.session.new, () => ({ sessionId: "s1" }))
  .onRequest(methods.agent.session.prompt, prompt)
  .onNotification(methods.agent.session.cancel, () => cancelled?.())
  .connect(ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)));
