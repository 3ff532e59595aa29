/** How much memory a run of pgsurety took, threads included, as the kernel counts it. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { launcher, spawnAs } from './run.ts'

/** What no command may pass, whatever there is to back up. */
export const PEAK_MIB_MAX = 300e6 / 1024 / 1024
const SAMPLE_MS = 20

/** Its highest resident memory; it must succeed. */
export async function peakMib(argv: readonly string[]): Promise<number> {
  const child = spawnAs([launcher(), ...argv])
  child.stdin.end()
  let said = ''
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString()
  })
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString()
  })
  const ended = new Promise((resolve) => {
    child.once('close', resolve)
  })
  let peakKib = 0
  while (child.exitCode === null && child.signalCode === null) {
    peakKib = Math.max(peakKib, await readPeakKib(child.pid))
    await Promise.race([ended, setTimeout(SAMPLE_MS)])
  }
  assert.equal(await ended, 0, said)
  return peakKib / 1024
}

async function readPeakKib(pid: number | undefined): Promise<number> {
  // Gone between two samples: the last one stands.
  const status = await readFile(`/proc/${pid ?? 0}/status`, 'utf8').catch(() => '')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
}
