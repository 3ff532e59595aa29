/** What is in the clusters. Loaded without WAL, which nobody asks for later. */
import { type Cluster, startCluster } from '../../test/harness/cluster.ts'
import { scaled, type Scene } from './scene.ts'

/** Fills a cluster of the scene's size. */
export type Load = (cluster: Cluster, scene: Scene) => Promise<void>

const LOADING = {
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '8GB',
  shared_buffers: '256MB',
  maintenance_work_mem: '256MB',
  max_locks_per_transaction: '1024',
  autovacuum: 'off',
} as const

/** A loaded cluster that archives with whatever command is in the file. */
export async function startLoaded(
  { root, load, archiveCommand }: { root: string; load: Load; archiveCommand: string },
  scene: Scene,
): Promise<Cluster> {
  const cluster = await startCluster({ root, version: '17', checksums: 'on', settings: LOADING })
  await load(cluster, scene)
  for (const setting of [
    'wal_level = replica',
    'max_wal_senders = 3',
    'archive_mode = on',
    `archive_command = '${archiveCommand}'`,
  ]) {
    await cluster.psql(`alter system set ${setting}`)
  }
  await cluster.stop()
  await cluster.start()
  return cluster
}

/** pgbench at 150: about 2.2 GB in few large files. */
export const loadPgbench: Load = async (cluster, scene) => {
  await cluster.pgbench(['-i', '-q', '-s', String(scaled(scene, 150))])
}

const WORDS =
  'time year people way day man thing woman life child world school state family student group country problem hand part place case week company system program question work government number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house service friend father power hour game line end member law car city community name president team minute idea kid body information back parent face others level office door health person art war history party result change morning reason research girl guy moment air teacher force education'

const word = (salt: number): string => `w[1 + (hashint8(g * 31 + ${salt}) & 2147483647) % 100]`

/** 16 times the same 256 MB, far enough apart for no compression to notice: text, JSON, numbers and some random bytes. */
export const loadMixed: Load = async (cluster, scene) => {
  const rows = scaled(scene, 400_000)
  const text = Array.from({ length: 24 }, (_, index) => word(index)).join(" || ' ' || ")
  await cluster.psql(`create table mixed_0 as
    select g as id, now() - g * interval '7 seconds' as made_at, (hashint8(g) % 100000)::numeric / 100 as amount,
      ${text} as note,
      jsonb_build_object('customer', g % 5000, 'state', ${word(91)}, 'tags', jsonb_build_array(${word(92)}, ${word(93)}),
        'price', (hashint8(g + 7) & 65535)::numeric / 100, 'shipped', g % 3 = 0) as document,
      decode(md5(g::text) || md5((g + 1)::text), 'hex') as token,
      (hashint8(g * 3) & 1048575) as quantity
    from generate_series(1, ${rows}::bigint) g, (select string_to_array('${WORDS}', ' ') as w) words`)
  for (let copy = 1; copy < 16; copy += 1) {
    await cluster.psql(`create table mixed_${copy} as select * from mixed_0`)
  }
  await cluster.psql('create index on mixed_0 (id); create index on mixed_1 (amount, quantity)')
  await cluster.psql('vacuum')
}

/** 10,000 tables of a few rows, each with an index: 20,000 relations. */
export const loadSmall: Load = async (cluster, scene) => {
  await cluster.psql(`create procedure fill(wanted integer) language plpgsql as $$
    begin
      for number in 1..wanted loop
        execute format('create table small_%s (id integer primary key, value bigint)', number);
        execute format('insert into small_%s select g, g * %s from generate_series(1, %s) g', number, number, number % 97 + 1);
        if number % 200 = 0 then commit; end if;
      end loop;
    end $$`)
  await cluster.psql(`call fill(${scaled(scene, 10_000)})`)
}
