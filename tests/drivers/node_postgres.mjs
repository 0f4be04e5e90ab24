// postgres (postgres.js): pipelined prepared statements, transactions, cursors, COPY.
import assert from 'node:assert/strict';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import postgres from 'postgres';
import { authors, finish, options, refused, step } from './steps.mjs';

const sql = postgres({ host: options.host, port: options.port, database: options.database, username: options.user, max: 3,
  types: { date: { to: 1082, from: [1082], serialize: (text) => text, parse: (text) => text } } });

await step('connect', async () => {
  assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);
});
await step('types', async () => {
  for (const author of authors) assert.equal((await sql`INSERT INTO drv_authors ${sql(author)}`).count, 1);
  for (const author of authors) {
    assert.deepEqual({ ...(await sql`SELECT * FROM drv_authors WHERE id = ${author.id}`)[0] }, author);
  }
});
await step('update and delete', async () => {
  assert.equal((await sql`UPDATE drv_authors SET name = ${'new'} WHERE id = ${1}`).count, 1);
  assert.equal((await sql`DELETE FROM drv_authors WHERE id = ${40}`).count, 1);
  assert.equal((await sql`DELETE FROM drv_authors WHERE id = ${40}`).count, 0);
});
await step('prepared', async () => {
  const rows = await Promise.all(Array.from({ length: 39 }, (_, i) => sql`SELECT id FROM drv_authors WHERE id = ${i + 1}`));
  rows.forEach((result, i) => assert.equal(result[0].id, String(i + 1)));
});
await step('transaction', async () => {
  await sql.begin(async (tx) => { await tx`INSERT INTO drv_posts VALUES (2, 1, 'kept')`; });
  await assert.rejects(sql.begin(async (tx) => {
    await tx`INSERT INTO drv_posts VALUES (2, 2, 'dropped')`;
    throw new Error('no');
  }));
  await sql.begin(async (tx) => {
    await tx`INSERT INTO drv_posts VALUES (2, 3, 'outer')`;
    await tx.savepoint(async (sp) => { await sp`INSERT INTO drv_posts VALUES (2, 4, 'inner')`; throw new Error('no'); }).catch(() => {});
  });
  const rows = await sql`SELECT id FROM drv_posts WHERE author_id = 2 ORDER BY id`;
  assert.deepEqual(rows.map((row) => row.id), ['1', '3']);
});
await step('errors', async () => {
  await refused('23505', () => sql`INSERT INTO drv_authors (id, name) VALUES (1, 'again')`);
  await refused('42601', () => sql.unsafe('SELEC 1'));
  await refused('42P01', () => sql`SELECT * FROM nowhere_at_all`);
  assert.equal((await sql`SELECT 2 AS two`)[0].two, 2);
});
await step('batch', async () => {
  await Promise.all(Array.from({ length: 100 }, (_, i) => sql`INSERT INTO drv_posts VALUES (3, ${i + 1}, ${`t${i}`})`));
  assert.equal((await sql`SELECT count(*) FROM drv_posts WHERE author_id = 3`)[0].count, '100');
});
await step('cursor', async () => {
  let seen = 0;
  await sql`SELECT id FROM drv_posts WHERE author_id = 3 ORDER BY id`.cursor(30, (rows) => { seen += rows.length; });
  assert.equal(seen, 100);
});
await step('copy', async () => {
  const rows = Array.from({ length: 500 }, (_, i) => `${1000 + i}\tcopied ${1000 + i}\tt\n`);
  await pipeline(Readable.from(rows), await sql`COPY drv_authors (id, name, active) FROM STDIN`.writable());
  assert.equal((await sql`SELECT name FROM drv_authors WHERE id = ${1499}`)[0].name, 'copied 1499');
});
await sql.end();
finish();
