/** A stopped cluster with all that a manifest can say something about, and two rounds of changes. No server is needed. */
import { chown } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { postgresBin } from '../harness/peers.ts'
import { runAs } from '../harness/run.ts'

/** Run in the data directory; `$1` is the folder that holds it. Without the template databases: half the files. */
const MAKE = `
rm -r base/1 base/4
mkdir -m 755 empty
mkdir -m 700 -p "$1/ts/PG_15_202209061/5" "$1/outside/pg_xact" base/pgsql_tmp
cp base/5/1259 "$1/ts/PG_15_202209061/5/16400"
ln -s "$1/ts" pg_tblspc/16390
mv pg_xact/* "$1/outside/pg_xact/"
rmdir pg_xact
ln -s ../outside/pg_xact pg_xact
mv postgresql.conf "$1/server.conf"
ln -s ../server.conf postgresql.conf

# Left out: temporary, unlogged, a cache, what belongs to another backup.
cp base/5/1259 base/5/t3_16600
cp base/5/1259 base/5/16700
: >base/5/16700_init
cp base/5/1259 base/5/pg_internal.init
: >base/pgsql_tmp/pgsql_tmp1.0
: >backup_label.old

# Wrong checksums: some pages, one, one of the second segment, and a file that ends within a page.
printf XXXX | dd of=base/5/1247 bs=1 seek=9000 conv=notrunc status=none
printf XXXX | dd of=base/5/1247 bs=1 seek=17500 conv=notrunc status=none
printf XXXX | dd of=base/5/1259 bs=1 seek=17500 conv=notrunc status=none
cp base/5/1259 base/5/16800.1
head -c 20000 base/5/1255 >base/5/16900

# Sizes and ages at which blocks change.
seq 1 2000000 | head -c 12000000 >large
seq 1 20000 >week
seq 1 30000 >fortnight
seq 1 40000 >month
touch -d '10 days ago' week
touch -d '20 days ago' fortnight
touch -d '40 days ago' month base/5/2608
: >nothing
echo 'a name' >'it=[is] "so"'
chmod 644 'it=[is] "so"'
echo 'not ours' >foreign
`

const CHANGES = [
  `
seq 2 2000001 | head -c 12000000 >large
printf changed | dd of=base/5/2608 bs=1 seek=30000 conv=notrunc status=none
touch week PG_VERSION global/pg_control
seq 1 29999 >fortnight
seq 1 50000 >month
chmod 600 'it=[is] "so"'
rm foreign
echo something >nothing
: >pg_ident.conf
echo new >new
mkdir later
cp base/5/1255 "$1/ts/PG_15_202209061/5/16401"
`,
  `
printf changed | dd of=large bs=1 seek=5000000 conv=notrunc status=none
touch base/5/2608 new base/5/1247
: >nothing
rmdir later
rm "$1/ts/PG_15_202209061/5/16401"
`,
] as const

export const CHANGES_COUNT = CHANGES.length

/** The data directory, `folder/data`. */
export async function makeOddCluster(folder: string): Promise<string> {
  const dataDir = join(folder, 'data')
  const initdb = join(await postgresBin('15'), 'initdb')
  const options = ['-U', 'postgres', '-A', 'trust', '--no-sync', '--data-checksums']
  await runAs([initdb, '-D', dataDir, '--wal-segsize=1', ...options])
  await runIn(folder, MAKE)
  // An owner without a name.
  if (userInfo().uid === 0) await chown(join(dataDir, 'foreign'), 54_321, 54_321)
  return dataDir
}

/** The first round of changes is number 0. */
export async function changeOddCluster(folder: string, round: number): Promise<void> {
  await runIn(folder, CHANGES[round] ?? '')
}

async function runIn(folder: string, script: string): Promise<void> {
  await runAs(['sh', '-euc', script, 'sh', folder], { cwd: join(folder, 'data') })
}
