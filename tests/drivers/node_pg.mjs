// node-postgres (pg): unnamed and named statements, pools, cursors, COPY streams.
import assert from 'node:assert/strict';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { from as copyFrom } from 'pg-copy-streams';
import { authors, finish, options, refused, step } from './steps.mjs';

pg.types.setTypeParser(1082, (text) => text);
const client = new pg.Client(options);
await client.connect();
const insert = 'INSERT INTO drv_authors VALUES ($1, $2, $3, $4, $5, $6, $7)';
const values = (a) => [a.id, a.name, a.born, a.rating, a.active, a.created, a.token];

await step('connect', async () => {
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
});
await step('types', async () => {
  for (const author of authors) assert.equal((await client.query(insert, values(author))).rowCount, 1);
  for (const author of authors) {
    assert.deepEqual((await client.query('SELECT * FROM drv_authors WHERE id = $1', [author.id])).rows[0], author);
  }
});
await step('update and delete', async () => {
  assert.equal((await client.query('UPDATE drv_authors SET name = $1 WHERE id = $2', ['new', 1])).rowCount, 1);
  assert.equal((await client.query('DELETE FROM drv_authors WHERE id = $1', [40])).rowCount, 1);
  assert.equal((await client.query('DELETE FROM drv_authors WHERE id = $1', [40])).rowCount, 0);
});
await step('prepared', async () => {
  for (let i = 1; i < 40; i++) {
    const result = await client.query({ name: 'by-id', text: 'SELECT id FROM drv_authors WHERE id = $1', values: [i] });
    assert.equal(result.rows[0].id, String(i));
  }
});
await step('transaction', async () => {
  await client.query('BEGIN');
  await client.query('INSERT INTO drv_posts VALUES ($1, $2, $3)', [2, 1, 'kept']);
  await client.query('COMMIT');
  await client.query('BEGIN');
  await client.query('INSERT INTO drv_posts VALUES ($1, $2, $3)', [2, 2, 'dropped']);
  await refused('23505', () => client.query("INSERT INTO drv_posts VALUES (2, 1, 'again')"));
  await refused('25P02', () => client.query('SELECT 1'));
  await client.query('ROLLBACK');
  const { rows } = await client.query('SELECT title FROM drv_posts WHERE author_id = 2');
  assert.deepEqual(rows, [{ title: 'kept' }]);
});
await step('errors', async () => {
  await refused('23505', () => client.query(insert, values(authors[0])));
  await refused('42601', () => client.query('SELEC 1'));
  await refused('42P01', () => client.query('SELECT * FROM nowhere_at_all'));
  assert.equal((await client.query('SELECT 2 AS two')).rows[0].two, 2);
});
await step('batch', async () => {
  const pool = new pg.Pool({ ...options, max: 5 });
  await Promise.all(Array.from({ length: 100 }, (_, i) => pool.query('INSERT INTO drv_posts VALUES ($1, $2, $3)', [3, i + 1, `t${i}`])));
  const counts = await Promise.all(Array.from({ length: 20 }, () => pool.query('SELECT count(*) FROM drv_posts WHERE author_id = $1', [3])));
  for (const { rows } of counts) assert.equal(rows[0].count, '100');
  await pool.end();
});
await step('cursor', async () => {
  await client.query('BEGIN');
  const cursor = client.query(new Cursor('SELECT id FROM drv_posts WHERE author_id = $1 ORDER BY id', [3]));
  let seen = 0;
  for (let rows; (rows = await cursor.read(30)).length > 0;) seen += rows.length;
  await cursor.close();
  await client.query('COMMIT');
  assert.equal(seen, 100);
});
await step('copy', async () => {
  const rows = Array.from({ length: 500 }, (_, i) => `${1000 + i}\tcopied ${1000 + i}\tt\n`);
  await pipeline(Readable.from(rows), client.query(copyFrom('COPY drv_authors (id, name, active) FROM STDIN')));
  assert.equal((await client.query('SELECT name FROM drv_authors WHERE id = $1', [1499])).rows[0].name, 'copied 1499');
});
await client.end();
finish();
