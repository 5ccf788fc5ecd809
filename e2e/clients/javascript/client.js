// Does with the official JavaScript clients what applications do, and prints what it saw as JSON, so that a test can compare two runs that differ
// in the URL alone. The report has the parts that ../python/client.py describes.
//
//     node client.js elasticsearch|elasticsearch7|opensearch URL INDEX
//
// Whatever a client complains of (a deprecation, a warning of the server, a refused product check, a dead connection) goes to stderr.
'use strict'

const words = 'warm and waterproof jacket for the mountains'
const query = { multi_match: { query: words, fields: ['title', 'body'] } }
const facets = { categories: { terms: { field: 'category' }, aggs: { price: { stats: { field: 'price' } } } } }

const shapes = {
  extras: { query, aggs: facets, highlight: { fields: { title: {}, body: { number_of_fragments: 2 } } }, _source: ['title', 'price'], size: 7 },
  bool: { query: { bool: { must: query, filter: { range: { price: { lte: 300 } } }, should: { match: { title: 'jacket' } } } } },
  collapse: { query, collapse: { field: 'category', inner_hits: { name: 'more', size: 2 } } },
  fields: { query, _source: false, fields: ['title'], docvalue_fields: ['price'], version: true },
  deep: { query, from: 35, size: 20 }
}
const untouched = {
  'by price': { query, sort: [{ price: 'asc' }], size: 5 },
  counted: { query, size: 0, aggs: facets }
}

function several (index) {
  return [
    { index }, { query, size: 5 },
    { index, preference: '_local' }, { query, size: 0, aggs: facets },
    { index: 'e2e-nowhere' }, { query },
    { index }, { query: { match: { title: 'bicycle lock' } }, from: 2, size: 3 }
  ]
}

// seen is an answer without what differs from run to run.
function seen (answer) {
  if (answer === null || typeof answer !== 'object' || Array.isArray(answer)) return answer
  const { took, _scroll_id, pit_id, ...kept } = answer
  if (kept.responses) kept.responses = kept.responses.map(seen)
  return kept
}

async function all (iterable) {
  const items = []
  for await (const item of iterable) items.push(item)
  return items
}

// A client of version 8 returns the body, and the rest beside it where asked with {meta: true}; 7 and OpenSearch's return both always and name the
// body of a request.
async function run (client, kind, index) {
  const modern = kind === 'elasticsearch'
  const report = { pages: [], rerank: [], searched: {}, passed: {} }
  const call = async (promise) => {
    const { body, headers, warnings } = await promise
    if (warnings) console.error('warned:', warnings)
    return { body, headers }
  }
  const search = (body, params = {}) => call(modern ? client.search({ index, ...body, ...params }, { meta: true }) : client.search({ index, body, ...params }))
  const msearch = (lines, params = {}) => call(modern ? client.msearch({ searches: lines, ...params }, { meta: true }) : client.msearch({ body: lines, ...params }))
  const request = (body) => modern ? body : { body }

  for (const from of [0, 10, 20, 30]) {
    const { body, headers } = await search({ query, from, size: 10 })
    report.pages.push(seen(body))
    report.rerank.push(headers['x-rerank'] ?? '')
  }
  for (const [name, body] of Object.entries(shapes)) report.searched[name] = seen((await search(body)).body)
  for (const [name, body] of Object.entries(untouched)) report.passed[name] = seen((await search(body)).body)
  report.searched.q = seen((await call(client.search({ index, q: 'waterproof jacket', size: 5, typed_keys: true }, { meta: true }))).body)
  report.searched.filter_path = seen((await search({ query }, { filter_path: 'hits.hits._id,hits.hits._score,hits.total' })).body)
  report.searched['at once'] = { responses: (await Promise.all([0, 10, 20].map(from => search({ query, from, size: 10 })))).map(r => seen(r.body)) }
  report.searched.msearch = seen((await msearch(several(index))).body)
  report.searched['msearch of one index'] = seen((await msearch([{}, { query, size: 4 }, {}, { query: { match_all: {} }, size: 1 }], { index })).body)
  report.passed.count = (await call(client.count({ index, ...request({ query }) }, { meta: true }))).body

  // The helpers: a search's documents alone, searches gathered into one request, iterations and bulk.
  const { helpers } = client
  report.searched['helpers.search'] = { hits: await helpers.search({ index, ...request({ query, size: 6 }) }) }
  const gathered = helpers.msearch({ flushInterval: 50 })
  const found = await Promise.all([{ query, size: 5 }, { query, size: 0, aggs: facets }, { query: { match: { body: 'hot tea' } } }].map(body => gathered.search({ index }, body)))
  gathered.stop()
  await gathered
  report.searched['helpers.msearch'] = { responses: found.map(r => ({ status: r.status, ...seen(r.body) })), documents: { hits: found.map(r => r.documents) } }
  const iteration = { index, ...request({ query, size: 30 }) }
  report.passed['helpers.scrollSearch'] = (await all(helpers.scrollSearch(iteration))).map(r => ({ ...seen(r.body), documents: r.documents }))
  report.passed['helpers.scrollDocuments'] = await all(helpers.scrollDocuments(iteration))

  const written = index + '-written-js'
  await client.indices.delete({ index: written, ignore_unavailable: true })
  const datasource = Array.from({ length: 1200 }, (_, n) => ({ title: `tea ${n}`, price: n % 7 }))
  const { time, ...made } = await helpers.bulk({
    datasource,
    flushBytes: 20000,
    concurrency: 1, // so that the documents are in the same order in every run
    refreshOnCompletion: written,
    onDocument: document => ({ index: { _index: written, _id: `${document.title}` } }),
    onDrop: document => console.error('dropped:', document)
  })
  report.passed['helpers.bulk'] = made
  report.searched.written = seen((await call(client.search({ index: written, ...request({ query: { match: { title: 'tea' } }, size: 4, sort: undefined }) }, { meta: true }))).body)
  await client.indices.delete({ index: written })

  for (const [name, make] of Object.entries({
    nowhere: () => client.search({ index: 'e2e-nowhere' }, { meta: true }),
    nobody: () => client.get({ index, id: 'nobody' }, { meta: true }),
    'no such query': () => search({ query: { no_such_query: {} } })
  })) {
    try {
      report.passed[name] = (await make()).body
    } catch (error) {
      report.passed[name] = [error.name, error.statusCode, error.meta?.body ?? error.body]
    }
  }
  return report
}

async function main (kind, node, index) {
  const { Client } = require({ elasticsearch: '@elastic/elasticsearch', elasticsearch7: 'elasticsearch7', opensearch: '@opensearch-project/opensearch' }[kind])
  const client = new Client({ node, compression: kind === 'elasticsearch' ? true : 'gzip' })
  const events = client.diagnostic ?? client
  events.on('resurrect', () => console.error('a connection had been taken for dead'))
  const report = await run(client, kind, index)
  await client.close()
  process.stdout.write(JSON.stringify(report))
}

main(...process.argv.slice(2)).catch(error => { console.error(error); process.exitCode = 1 })
