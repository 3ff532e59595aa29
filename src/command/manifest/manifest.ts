/** manifest: what a manifest says of its files, told as pgBackRest 2.60 tells it. */
import { AppError } from '../../base/error.ts'
import { toByteString, toHumanText } from '../../base/text.ts'
import type { Manifest, ManifestFile } from '../../format/manifest.ts'
import { loadBackupInfo, loadManifest, openRepos, type Repo } from '../../repo/repo.ts'
import { loadBlockMap } from '../../repo/stored-blocks.ts'
import { storedFile, storedSet } from '../../repo/stored-file.ts'
import { type Context, stanzaOf } from '../command.ts'
import { type BlockSource, summarizeBlocks } from './block-sources.ts'
import { manifestToJson, manifestToText, type ShownFile } from './render.ts'

export async function manifest(context: Context): Promise<number> {
  const { config } = context
  const [repo] = openRepos(config, context.openStorage)
  if (repo === undefined) throw new AppError('assert', 'there is a repository')
  const found = await findManifest(repo, stanzaOf(context), config.text('set'))
  const name = config.optionalText('filter')
  const files = filesOf(found, name, config.optionalText('reference'))
  const shown: ShownFile[] = []
  for (const file of files) {
    const sources = name === undefined ? undefined : await sourcesOf(context, repo, { found, file })
    shown.push({ file, sources })
  }
  const text =
    config.text('output') === 'json' ? manifestToJson(found, shown) : manifestToText(found, shown)
  context.print(toHumanText(text))
  return 0
}

async function findManifest(repo: Repo, stanza: string, set: string): Promise<Manifest> {
  const info = await loadBackupInfo(repo, stanza)
  const label = set === 'latest' ? info.backups.at(-1)?.label : set
  if (label === undefined) {
    throw new AppError('backup-set-invalid', 'no backup set found', {
      hint: "use 'info' for a list of backups.",
    })
  }
  return await loadManifest(repo, stanza, label, info.cipherPass)
}

function filesOf(
  { files, label }: Manifest,
  name: string | undefined,
  reference: string | undefined,
): readonly ManifestFile[] {
  const wanted = name === undefined ? undefined : toByteString(name)
  const named = wanted === undefined ? files : files.filter((file) => file.name === wanted)
  if (named.length === 0 && name !== undefined) {
    throw new AppError('file-missing', `unable to find '${name}' in manifest file list`)
  }
  if (reference === undefined) return named
  const isOwn = reference === 'latest' || reference === label
  return named.filter((file) => file.reference === (isOwn ? undefined : reference))
}

interface Asked {
  readonly found: Manifest
  readonly file: ManifestFile
}

async function sourcesOf(
  context: Context,
  repo: Repo,
  { found, file }: Asked,
): Promise<readonly BlockSource[] | undefined> {
  const stored = storedFile(stanzaOf(context), found, file)
  if (stored.kind !== 'blocks') return undefined
  const set = storedSet(stanzaOf(context), found)
  return summarizeBlocks(await loadBlockMap(repo.storage, set, stored), stored.sizes.sizeBytes)
}
