// Writes EIP-2335 keystores of interop validator keys with passwords beside them. usage: interop-keystores.mjs OUTDIR FIRST COUNT
// Prints one public key a line.
import fs from "node:fs";
import { randomBytes } from "node:crypto";
const st = await import("@lodestar/state-transition");
const { Keystore } = await import("@chainsafe/bls-keystore");
const [out, first, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
fs.mkdirSync(out, { recursive: true });
for (let i = 0; i < count; i++) {
  const sk = st.interopSecretKey(first + i), pk = sk.toPublicKey().toBytes(), password = randomBytes(8).toString("hex");
  const ks = await Keystore.create(password, sk.toBytes(), pk, "m/12381/3600/0/0/0");
  fs.writeFileSync(`${out}/keystore-${i}.json`, ks.stringify());
  fs.writeFileSync(`${out}/keystore-${i}.txt`, password, {mode: 0o600});
  console.log("0x" + Buffer.from(pk).toString("hex"));
}
