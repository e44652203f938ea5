// Applies patches with two JSON Patch implementations of the npm registry, and compares the results
// with what kale-tag wrote. Reads lines of three file names (notebook, patch, result) from standard
// input; prints a line for each that differs, and how many were applied.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import fastJsonPatch from "fast-json-patch";
import { applyPatch } from "rfc6902";

const read = (name) => JSON.parse(readFileSync(name, "utf8").replace(/^\uFEFF/, ""));

const implementations = {
  "fast-json-patch": (document, patch) =>
    fastJsonPatch.applyPatch(document, patch, true).newDocument,
  rfc6902: (document, patch) => {
    const faults = applyPatch(document, patch).filter((fault) => fault !== null);
    if (faults.length) throw faults[0];
    return document;
  },
};

let applied = 0;
for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const [notebook, patch, result] = line.split("\t");
  for (const [name, apply] of Object.entries(implementations)) {
    try {
      if (!isDeepStrictEqual(apply(read(notebook), read(patch)), read(result)))
        console.log(`${name} gives another value for ${notebook}`);
      applied += 1;
    } catch (fault) {
      console.log(`${name} refuses the patch of ${notebook}: ${fault}`);
    }
  }
}
console.log(`applied ${applied}`);
