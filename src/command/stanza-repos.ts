/** What stanza-create and stanza-upgrade share: with nobody else at work, the same for the cluster in each repository. */
import type { ControlFile } from '../postgres/control-file.ts'
import { openRepos, type Repo } from '../repo/repo.ts'
import { assertNotStopped } from '../repo/stop-file.ts'
import { type Context, stanzaOf } from './command.ts'
import { identifyCluster } from './preflight.ts'
import { lockStanza } from './stanza-lock.ts'

/** Calls `act` for each repository, and prints what came of each. */
export async function inEachRepo(
  context: Context,
  command: 'stanza-create' | 'stanza-upgrade',
  act: (repo: Repo, stanza: string, control: ControlFile) => Promise<string>,
): Promise<void> {
  const { config, log } = context
  const stanza = stanzaOf(context)
  assertNotStopped(config.text('lock-path'), stanza)
  const repos = openRepos(config, context.openStorage)
  const keys = repos.map(({ key }) => key)
  await using _lock = await lockStanza(context, ['archive', 'backup', 'restore'], keys)
  const control = await identifyCluster(context, command)
  const outcomes: { readonly repo: number; readonly outcome: string }[] = []
  for (const repo of repos) {
    log.info(`${command} for stanza '${stanza}' on repo${repo.key}`)
    outcomes.push({ repo: repo.key, outcome: await act(repo, stanza, control) })
  }
  if (config.text('output') !== 'json') return
  context.print(`${JSON.stringify({ stanza, repos: outcomes })}\n`)
}
