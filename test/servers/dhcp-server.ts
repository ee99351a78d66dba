/**
 * A DHCP server (RFC 2131) that gives one address and exactly the options of its argument: what dnsmasq cannot be made to leave out.
 * `node dhcp-server.ts '{"address": "10.9.0.50", "options": [[3, "0a090001"]]}'`: the options' values in hex. Prints "ready".
 */
import { createSocket } from "node:dgram";

export interface DhcpAnswer {
  address: string;
  options: [code: number, hex: string][];
}

const SERVER = "10.9.0.1";
const BROADCAST = "10.9.0.255";
const COOKIE = Buffer.from([0x63, 0x82, 0x53, 0x63]);
const OPTIONS_AT = 240;
const [DISCOVER, OFFER, REQUEST, ACK] = [1, 2, 3, 5];

const { address, options } = JSON.parse(process.argv[2]!) as DhcpAnswer;
const toBytes = (ip: string) => Buffer.from(ip.split(".").map(Number));
const encode = (code: number, value: Buffer) => Buffer.concat([Buffer.from([code, value.length]), value]);

const socket = createSocket({ type: "udp4", reuseAddr: true });
socket.on("message", (request) => {
  const type = findType(request);
  if (type !== DISCOVER && type !== REQUEST) return;
  const header = Buffer.alloc(OPTIONS_AT - COOKIE.length);
  // The transaction, flags and hardware address of the request; a reply (2) with the address.
  request.copy(header, 0, 0, 44);
  header[0] = 2;
  toBytes(address).copy(header, 16);
  const lines = [
    encode(53, Buffer.from([type === DISCOVER ? OFFER : ACK])),
    encode(54, toBytes(SERVER)),
    encode(51, Buffer.from([0, 0, 1, 0])),
    ...options.map(([code, hex]) => encode(code, Buffer.from(hex, "hex"))),
  ];
  socket.send(Buffer.concat([header, COOKIE, ...lines, Buffer.from([255])]), 68, BROADCAST);
});
socket.bind(67, () => {
  socket.setBroadcast(true);
  console.log("ready");
});

function findType(request: Buffer): number | undefined {
  for (let at = OPTIONS_AT; at + 2 < request.length && request[at] !== 255; at += 2 + request[at + 1]!)
    if (request[at] === 53) return request[at + 2];
  return undefined;
}
