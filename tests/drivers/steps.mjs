// What the Node.js programs share: counting steps and comparing.
import assert from 'node:assert/strict';

export const options = {
  host: process.env.SY_HOST, port: Number(process.env.SY_PORT), database: process.env.SY_DB, user: process.env.SY_USER,
};
let passed = 0, failed = 0;

export async function step(name, run) {
  try {
    await run();
    passed++;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}

export async function refused(code, run) {
  await assert.rejects(run, (error) => { assert.equal(error.code, code); return true; });
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed || !passed ? 1 : 0);
}

export const authors = Array.from({ length: 40 }, (_, n) => n + 1).map((i) => ({
  id: String(i), name: `Autor ${i} ü 'q'`, born: '1970-02-03', rating: `${i}.50`, active: i % 2 === 0,
  created: new Date(Date.UTC(2026, 0, 1, 12, i % 60, 5, 123)), token: `00000000-0000-0000-0000-${String(i).padStart(12, '0')}`,
}));
