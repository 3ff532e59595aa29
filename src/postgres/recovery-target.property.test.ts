import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AppError } from '../base/error.ts'
import { formatTargetTime, parseTarget } from './recovery-target.ts'

/** Microseconds of the years 0000 to 9999. */
const instantUs = fc.bigInt({ min: -62167219200000000n, max: 253402300799999999n })

test('every instant survives being written for PostgreSQL and read again', () => {
  fc.assert(
    fc.property(instantUs, (atUs) => {
      const text = formatTargetTime(atUs).utc
      assert.deepEqual(parseTarget({ type: 'time', text, zone: undefined }), {
        kind: 'time',
        atUs,
        original: text,
      })
    }),
  )
})

test('a wall time in a zone is refused or shows that time in that zone', () => {
  const zone = fc.constantFrom('Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'UTC')
  const wallMs = fc.integer({ min: Date.UTC(1980, 0, 1), max: Date.UTC(2037, 0, 1) })
  fc.assert(
    fc.property(zone, wallMs, (timeZone, ms) => {
      const shown = new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
      try {
        const target = parseTarget({ type: 'time', text: shown, zone: timeZone })
        assert.equal(target.kind, 'time')
        const at = target.kind === 'time' ? Number(target.atUs / 1000n) : 0
        const format = new Intl.DateTimeFormat('sv-SE', {
          timeZone,
          dateStyle: 'short',
          timeStyle: 'medium',
        })
        assert.equal(format.format(at), shown)
      } catch (error) {
        assert.equal(error instanceof AppError, true, String(error))
      }
    }),
  )
})

test('any text is a target or an error that says so', () => {
  const type = fc.constantFrom('time', 'xid', 'lsn', 'name')
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[-0-9A-Fx/: .TZ+]{0,30}$/))
  fc.assert(
    fc.property(type, text, (kind, value) => {
      try {
        assert.equal(parseTarget({ type: kind, text: value, zone: 'Europe/Berlin' }).kind, kind)
      } catch (error) {
        assert.equal(error instanceof AppError, true, String(error))
      }
    }),
  )
})
