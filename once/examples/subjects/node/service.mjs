// A service in JavaScript: a POST to /{id} has one effect. With SUBJECT_FORM=two-commits it
// has the mistake that its own tests do not see: the effect is committed before its key.
import { createServer } from 'node:http';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.SUBJECT_POSTGRES });
pool.on('error', () => {}); // an idle connection that ended is replaced
const [host, port] = process.env.SUBJECT_LISTEN.split(':');

async function inTransaction(work) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await work(client);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}

const remember = (client, id) =>
  client.query('INSERT INTO seen (id) VALUES ($1) ON CONFLICT DO NOTHING', [id]);
const act = (client, id) => client.query(`INSERT INTO effects VALUES ($1, 'order')`, [id]);

const forms = {
  right: (id) =>
    inTransaction(async (client) => {
      if ((await remember(client, id)).rowCount > 0) await act(client, id);
    }),
  'two-commits': async (id) => {
    const known = await pool.query('SELECT 1 FROM seen WHERE id = $1', [id]);
    if (known.rowCount > 0) return;
    await inTransaction((client) => act(client, id));
    await inTransaction((client) => remember(client, id));
  },
};
const once = forms[process.env.SUBJECT_FORM ?? 'right'];

createServer((request, response) => {
  once(request.url.slice(1)).then(
    () => response.end(),
    (error) => response.writeHead(503).end(String(error)),
  );
}).listen(Number(port), host);
