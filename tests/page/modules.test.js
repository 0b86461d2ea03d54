import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../tapemagic/explorer/page/", import.meta.url);
const modules = readdirSync(FOLDER).filter((name) => name.endsWith(".js"));
const read = (name) => readFileSync(new URL(name, FOLDER), "utf8");

test("modules can be joined: plain imports and exports, no name twice", () => {
  const owners = new Map();
  for (const name of modules) {
    const text = read(name);
    const imports = text.match(/^import .*?;$/gms) ?? [];
    for (const line of imports)
      assert.match(line, /^import \{[\w\s,]+\} from "\.\/\w+\.js";$/, name);
    for (const line of text.match(/^export .*$/gm) ?? []) {
      assert.match(line, /^export (async function|function|const|class|default \{)/, name);
    }
    for (const [, found] of text.matchAll(
      /^(?:export )?(?:async )?(?:function|const|let|class) (\w+)/gm,
    )) {
      assert.equal(owners.get(found), undefined, `${found} in ${owners.get(found)} and ${name}`);
      owners.set(found, name);
    }
  }
});

test("nothing in the page evaluates text", () => {
  for (const name of modules) {
    assert.doesNotMatch(
      read(name),
      /\beval\(|new Function|setTimeout\(["'`]|document\.write|https?:\/\/(?!www\.w3\.org)/,
      name,
    );
  }
});
