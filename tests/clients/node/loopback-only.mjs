// Preloaded into every Node client (NODE_OPTIONS=--import): a connection to anywhere but loopback fails, and is told.
// Tests contact this machine only, and a terminal agent would like to ask for updates.
import net from "node:net";

const ALLOWED = new Set(["127.0.0.1", "::1", "localhost", undefined]);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...given) {
  const [options] = Array.isArray(given[0]) ? given[0] : given;
  const host = typeof options === "object" ? options.host : typeof given[1] === "string" ? given[1] : undefined;
  if (!ALLOWED.has(host)) {
    process.stderr.write(`not loopback: ${host}\n`);
    return this.destroy(new Error(`not loopback: ${host}`));
  }
  return connect.apply(this, given);
};
