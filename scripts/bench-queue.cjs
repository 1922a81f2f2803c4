// The same cycle on graphile-worker: a job claims a contact, writes attempt and result and adds the job
// that delivers; that one writes the delivery. First plain jobs that do nothing, for its own pace.
const { run, makeWorkerUtils } = require("graphile-worker");
const { Pool } = require("pg");

const [socket, count] = [process.argv[2], Number(process.argv[3])];
const connection = { host: socket, user: "outdial", database: "postgres" };
const logger = new (require("graphile-worker").Logger)(() => () => {});

async function measure(pool, tasks, first, target) {
    let done = 0;
    let ended;
    const all = new Promise((resolve) => (ended = resolve));
    const counted = {};
    for (const [name, task] of Object.entries(tasks)) {
        counted[name] = async (payload, helpers) => {
            await task(payload, helpers);
            if (name === target && ++done === count) ended();
        };
    }
    await pool.query(
        `SELECT graphile_worker.add_job($1, json_build_object('id', nth), queue_name => NULL)
         FROM generate_series(1, $2::int) AS nth`,
        [first, count],
    );
    const begun = process.hrtime.bigint();
    const runner = await run({ pgPool: pool, concurrency: 24, pollInterval: 50, taskList: counted, logger });
    await all;
    const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
    await runner.stop();
    return Math.round(count / seconds);
}

function say(database, rate) {
    console.log(JSON.stringify({ database, nodes: 1, contacts: count, cycles_per_s: rate }).replaceAll('":', '": '));
}

(async () => {
    const pool = new Pool({ ...connection, max: 25 });
    pool.on("error", () => {});
    const utils = await makeWorkerUtils({ pgPool: pool, logger });
    await utils.migrate();
    await pool.query(`CREATE TABLE IF NOT EXISTS gw_attempts (id bigserial PRIMARY KEY, contact bigint NOT NULL,
        begun_at timestamptz NOT NULL DEFAULT now(), outcome text, ended_at timestamptz);
        CREATE TABLE IF NOT EXISTS gw_deliveries (id bigserial PRIMARY KEY, attempt bigint NOT NULL, status int)`);
    say("graphile-worker, empty jobs", await measure(pool, { nothing: async () => {} }, "nothing", "nothing"));
    const tasks = {
        dial: async ({ id }, helpers) => {
            const { rows } = await helpers.query("INSERT INTO gw_attempts (contact) VALUES ($1) RETURNING id", [id]);
            await helpers.withPgClient(async (client) => {
                await client.query("BEGIN");
                await client.query("UPDATE gw_attempts SET outcome = 'human', ended_at = now() WHERE id = $1", [rows[0].id]);
                await client.query("SELECT graphile_worker.add_job('deliver', json_build_object('attempt', $1::bigint))", [rows[0].id]);
                await client.query("COMMIT");
            });
        },
        deliver: async ({ attempt }, helpers) => {
            await helpers.query("INSERT INTO gw_deliveries (attempt, status) VALUES ($1, 200)", [attempt]);
        },
    };
    say("graphile-worker, cycles", await measure(pool, tasks, "dial", "deliver"));
    await utils.release();
    await pool.end();
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
