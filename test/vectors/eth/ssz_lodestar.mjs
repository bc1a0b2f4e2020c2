// Makes ssz_lodestar.json: a random value of each container of src/eth/types.h with its SSZ, JSON and root as the package
// @lodestar/types 1.50.0 computes them. Run where that package is installed: node ssz_lodestar.mjs > ssz_lodestar.json
import {ssz} from "@lodestar/types";

let state = 20260823;
function rnd(n) { // mulberry32: the file is the same each time
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const bytes = (n) => Uint8Array.from({length: n}, () => rnd(256));
const big = (n) => bytes(n).reduce((v, b) => (v << 8n) | BigInt(b), 0n);

// rich: lists have elements; long lists of bytes and bits end inside and at the end of a chunk.
function value(t, rich) {
  const kind = t.constructor.name;
  if (t.fields) return Object.fromEntries(Object.entries(t.fields).map(([k, f]) => [k, value(f, rich)]));
  if (kind.startsWith("UintNumber")) return t.byteLength < 8 ? rnd(1 << (8 * t.byteLength)) : rnd(2 ** 21) * 2 ** 32 + rnd(2 ** 32);
  if (kind.startsWith("UintBigint")) return rnd(4) === 0 ? 2n ** BigInt(8 * t.byteLength) - 1n : big(t.byteLength);
  if (kind.startsWith("Boolean")) return rnd(2) === 1;
  if (kind.startsWith("BitVector") || kind.startsWith("BitList")) {
    const len = t.lengthBits ?? (rich ? [7, 8, 255, 256, 300][rnd(5)] : rnd(2) * 9);
    const v = t.defaultValue();
    const out = t.lengthBits ? v : new v.constructor(new Uint8Array(Math.ceil(len / 8)), len);
    for (let i = 0; i < len; i++) out.set(i, rnd(2) === 1);
    return out;
  }
  if (t.lengthBytes !== undefined) return bytes(t.lengthBytes);
  if (kind.startsWith("ByteList")) return bytes(Math.min(t.limitBytes, rich ? [0, 31, 32, 33, 70][rnd(5)] : rnd(3)));
  if (t.elementType && t.length !== undefined && !t.limit) return Array.from({length: t.length}, () => value(t.elementType, rich));
  if (t.elementType && t.elementType.lengthBytes === 131072) return [];
  if (t.elementType) {
    const max = t.elementType.fixedSize > 1000 ? 1 : 2;
    return Array.from({length: rich ? 1 + (rnd(3) === 0 ? max - 1 : 0) : rnd(5) === 0 ? 1 : 0}, () => value(t.elementType, rich));
  }
  throw new Error(`no value for ${kind}`);
}

const hex = (b) => Buffer.from(b).toString("hex");
const out = [];
function add(name, t, rich, blob) {
  const v = value(t, rich);
  if (blob) v.blobs = [Uint8Array.from({length: 131072}, (_, i) => (i * 7 + (i >> 8)) & 255)];
  const all = t.serialize(v);
  const json = t.toJson(v);
  if (blob) json.blobs = ["@blob"];
  out.push({name, ssz: hex(blob ? all.subarray(0, all.length - 131072) : all), blob: blob || undefined, root: hex(t.hashTreeRoot(v)), json});
}

add("u64", ssz.UintBn64, true);
add("root", ssz.Root, true);
add("pubkey", ssz.BLSPubkey, true);
add("signature", ssz.BLSSignature, true);
const once = {
  phase0: ["Checkpoint", "AttestationDataBigint", "VoluntaryExit", "SignedVoluntaryExit", "BeaconBlockHeader", "SignedBeaconBlockHeader", "ForkData",
    "SigningData", "DepositMessage", "DepositData"],
  altair: ["SyncCommitteeMessage", "SyncCommitteeContribution", "ContributionAndProof", "SignedContributionAndProof", "SyncAggregatorSelectionData"],
  bellatrix: ["ValidatorRegistrationV1", "SignedValidatorRegistrationV1"],
  electra: ["SingleAttestation"],
};
for (const [fork, names] of Object.entries(once)) for (const n of names) add(`${n}`, ssz[fork][n], true);
for (const fork of ["phase0", "electra"])
  for (const n of ["Attestation", "AggregateAndProof", "SignedAggregateAndProof"])
    for (let i = 0; i < 3; i++) add(`${n}/${fork}`, ssz[fork][n], i > 0);
const forks = ["phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu"];
forks.forEach((fork, i) => {
  add(`BeaconBlock/${fork}`, ssz[fork].BeaconBlock, i !== 6);
  add(`SignedBeaconBlock/${fork}`, ssz[fork].SignedBeaconBlock, i === 6);
  if (i >= 2) {
    add(`BlindedBeaconBlock/${fork}`, ssz[fork].BlindedBeaconBlock, i % 2 === 0);
    add(`SignedBlindedBeaconBlock/${fork}`, ssz[fork].SignedBlindedBeaconBlock, i === 5);
  }
  if (i >= 4) {
    add(`BlockContents/${fork}`, ssz[fork].BlockContents, i === 6, fork === "fulu");
    add(`SignedBlockContents/${fork}`, ssz[fork].SignedBlockContents, false);
  }
});
console.log("[");
console.log(out.map((v) => JSON.stringify(v)).join(",\n"));
console.log("]");
