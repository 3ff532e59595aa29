import assert from 'node:assert/strict'
import { test } from 'node:test'
import { definitionOf } from './definition.ts'

/** Kind, what the server says, and the parts in it that are its own words. */
const DEFINITIONS: readonly (readonly [
  kind: string,
  definition: string,
  ...parts: readonly string[],
])[] = [
  ['view', ' SELECT 1 AS "one";', ' SELECT 1 AS "one"'],
  ['default', '\'; not null\'::"text"', '\'; not null\'::"text"'],
  ['generation', '("a" * 2)', '("a" * 2)'],
  ['column', 'integer; not null'],
  [
    'constraint',
    'CHECK ((("a" > 3) AND ("b" <> \')\'::"text"))) NO INHERIT NOT VALID',
    '(("a" > 3) AND ("b" <> \')\'::"text"))',
  ],
  ['constraint', 'FOREIGN KEY ("a") REFERENCES "app"."t"("b WHERE (c)") ON DELETE SET NULL'],
  ['constraint', 'PRIMARY KEY ("a") INCLUDE ("b")'],
  [
    'constraint',
    'EXCLUDE USING "gist" ("lower"("a") COLLATE "C" WITH =, "b" WITH OPERATOR("app".&&), (("c" + 1)) WITH =) WHERE (("a" > \'x\'::"text")) DEFERRABLE',
    '"lower"("a")',
    '(("c" + 1))',
    '("a" > \'x\'::"text")',
  ],
  ['domain constraint', 'CHECK ((VALUE > 0)) NOT VALID', '(VALUE > 0)'],
  [
    'type',
    'domain over character varying(40); collate "C"; default \'a; not null\'::"text"; not null',
    '\'a; not null\'::"text"',
  ],
  ['type', 'domain over "app"."x; default 3"; not null'],
  ['type', "enum '; default 3'"],
  [
    'index',
    'CREATE UNIQUE INDEX "i" ON ONLY "app"."t" USING "btree" ("a" "app"."ops" (siglen=\'32\'), "app"."f"("b", \',\'::"text") "text_ops" DESC, COALESCE("c", 1), (("d")::"date") NULLS FIRST) INCLUDE ("e") WITH ("fillfactor"=\'50\') WHERE ("a" OR (NOT "app"."g"("b"))); clustered; part of app.i',
    '"app"."f"("b", \',\'::"text")',
    'COALESCE("c", 1)',
    '(("d")::"date")',
    '("a" OR (NOT "app"."g"("b")))',
  ],
  [
    'index',
    'CREATE INDEX "i" ON "t" USING "gin" ("a") WHERE "app"."f"("b"); invalid',
    '"app"."f"("b")',
  ],
  [
    'statistics',
    'CREATE STATISTICS "app"."s" ("ndistinct") ON "a", "lower"("b"), ("a" + 1) FROM "app"."t"; target 7',
    '"lower"("b")',
    '("a" + 1)',
  ],
  [
    'table',
    'access method heap; partitioned by RANGE ("a", "lower"("b") COLLATE "C" "text_ops", (("c" || \', \'::"text"))); row security',
    '"lower"("b")',
    '(("c" || \', \'::"text"))',
  ],
  ['table', "partition of app.t; FOR VALUES FROM ('partitioned by LIST (a)') TO (MAXVALUE)"],
  [
    'trigger',
    'CREATE TRIGGER "t WHEN (a)" BEFORE UPDATE OF "a" ON "app"."t" FOR EACH ROW WHEN (("old".* IS DISTINCT FROM "new".*)) EXECUTE FUNCTION "app"."f"(\' WHEN (true) \'); always',
    '("old".* IS DISTINCT FROM "new".*)',
  ],
  [
    'trigger',
    'CREATE TRIGGER "t" AFTER INSERT ON "app"."t" FOR EACH STATEMENT EXECUTE FUNCTION "app"."f"()',
  ],
  [
    'policy',
    'restrictive; for w; to "a; using b", public; using ("a" = \'; with check \'::"text"); with check true',
    '("a" = \'; with check \'::"text")',
    'true',
  ],
  ['policy', 'for r; to public; using "app"."f"("a")', '"app"."f"("a")'],
  [
    'policy',
    'for a; to public; with check (EXISTS ( SELECT\n   FROM "app"."t"))',
    '(EXISTS ( SELECT\n   FROM "app"."t"))',
  ],
  [
    'rule',
    'CREATE RULE "r" AS\n    ON DELETE TO "app"."t"\n   WHERE ("old"."a" = 0) DO INSTEAD NOTHING;; on replica',
    '\n   WHERE ("old"."a" = 0) DO INSTEAD NOTHING;',
  ],
  [
    'published table',
    'columns "a", "; where b"; where ("a" > \'; where \'::"text")',
    '("a" > \'; where \'::"text")',
  ],
  ['published table', 'where "a"', '"a"'],
  [
    'collation',
    'provider i; locale de@collation=phonebook; rules &a < b; not deterministic',
    'de@collation=phonebook',
  ],
  ['collation', 'provider c; locale C; ctype C'],
  [
    'function',
    'CREATE OR REPLACE FUNCTION "app"."f"("a DEFAULT 1" integer, OUT "b" "text")\n RETURNS "text"\n LANGUAGE "sql"\nAS $function$\nRETURN 1\n$function$\n',
  ],
  [
    'procedure',
    'CREATE OR REPLACE PROCEDURE "app"."p"(INOUT "a" integer DEFAULT "app"."g"(1, \',\'::"text"), INOUT "b" integer DEFAULT 2)\n LANGUAGE "plpgsql"\nAS $procedure$ begin end $procedure$\n',
    '"app"."g"(1, \',\'::"text")',
    '2',
  ],
  [
    'function',
    'CREATE OR REPLACE FUNCTION "app"."f"("a" integer DEFAULT 1, VARIADIC "b" integer[] DEFAULT NULL::integer[])\n RETURNS TABLE("c" integer)\n LANGUAGE "sql"\n STABLE\n SET "search_path" TO \'app\'\nBEGIN ATOMIC\n SELECT "f"."a";\nEND\n',
    '1',
    'NULL::integer[]',
    'BEGIN ATOMIC\n SELECT "f"."a";\nEND',
  ],
]

const frame = (parameters: string): string =>
  definitionOf({
    kind: 'procedure',
    name: 'x',
    definition: `CREATE OR REPLACE PROCEDURE "p"(${parameters})\n LANGUAGE "sql"\nAS $$ IN $$\n`,
  }).frame

test('a word that is said by newer versions only is not of the frame', () => {
  assert.equal(
    frame('IN "a" integer, IN "text", INOUT "IN " integer'),
    frame('"a" integer,"text", INOUT "IN " integer'),
  )
  assert.notEqual(frame('IN "a" integer'), frame('OUT "a" integer'))
})

for (const [kind, definition, ...parts] of DEFINITIONS) {
  test(`what a server words itself is told from the rest of a ${kind}: ${definition.slice(0, 60)}`, () => {
    const found = definitionOf({ kind, name: 'x', definition })

    assert.deepEqual(
      found.parts.map(({ text }) => text),
      parts,
    )
    const pieces = found.frame.split('\0')
    assert.equal(pieces.map((piece, index) => piece + (parts[index] ?? '')).join(''), definition)
  })
}
