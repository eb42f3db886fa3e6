// Preloaded into every Node client (NODE_OPTIONS=--import): a connection to anywhere but loopback is refused, and told.
// Tests contact this machine only, and a terminal agent would like to ask for updates. It goes to a port where nobody
// listens: an error out of nowhere would end some agents, one of the network does not.
import net from "node:net";

const ALLOWED = new Set(["127.0.0.1", "::1", "localhost", undefined]);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...given) {
  const [options] = Array.isArray(given[0]) ? given[0] : given;
  const host = typeof options === "object" ? options.host : typeof given[1] === "string" ? given[1] : undefined;
  if (!ALLOWED.has(host)) {
    process.stderr.write(`not loopback: ${host}\n`);
    if (typeof options !== "object") return this.destroy(new Error(`not loopback: ${host}`));
    Object.assign(options, { host: "127.0.0.1", port: 1 });
  }
  return connect.apply(this, given);
};
