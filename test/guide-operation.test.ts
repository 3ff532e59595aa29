/** The pages of the guide for what comes after the first backup, which is taken here once more. */
import { after, before, test } from 'node:test'
import { type Machine, openMachine, runPage } from './harness/guide-pages.ts'

let machine: Machine

before(async () => {
  machine = await openMachine()
})
after(async () => {
  await machine[Symbol.asyncDispose]()
})

test('first-backup.md says what happens', async () => {
  await runPage(machine, 'first-backup.md')
})

test('incremental.md says what happens', async () => {
  await runPage(machine, 'incremental.md')
})

test('retention.md says what happens', async () => {
  await runPage(machine, 'retention.md')
})

test('check.md says what happens', async () => {
  await runPage(machine, 'check.md')
})

test('repository.md says what happens', async () => {
  await runPage(machine, 'repository.md')
})

test('archiving.md says what happens', async () => {
  await runPage(machine, 'archiving.md')
})

test('parts.md says what happens', async () => {
  await runPage(machine, 'parts.md')
})

test('standby.md says what happens', async () => {
  await runPage(machine, 'standby.md')
})
