// Does what a shop does that knows User Behavior Insights: it searches with an official client, says who searches in ext.ubi, and tells of what was
// done as the collector ubi.js does, by a POST of a JSON array, to the same URL. It prints what it saw as JSON.
//
//     node ubi.js elasticsearch|elasticsearch7|opensearch URL INDEX
'use strict'

async function main (kind, node, index) {
  const { Client } = require({ elasticsearch: '@elastic/elasticsearch', elasticsearch7: 'elasticsearch7', opensearch: '@opensearch-project/opensearch' }[kind])
  const client = new Client({ node })
  const ubi = { client_id: `javascript-${kind}`, user_query: 'hiking boots', application: 'shop', object_id_field: 'title', query_attributes: { page: 'search' } }
  const search = { query: { multi_match: { query: ubi.user_query, fields: ['title', 'body'] } }, size: 5, ext: { ubi } }
  const { body, headers } = await (kind === 'elasticsearch' ? client.search({ index, ...search }, { meta: true }) : client.search({ index, body: search }))
  const id = body.ext.ubi.query_id
  const post = async (path, what) => {
    const response = await fetch(`${node}/${path}`, { method: 'POST', headers: { 'Content-type': 'application/json', Accept: 'application/json' }, body: JSON.stringify([what]) })
    return [response.status, await response.json()]
  }
  const hit = body.hits.hits[1]
  const told = [
    await post('ubi_queries', {
      application: 'shop', query_id: id, user_query: ubi.user_query, client_id: ubi.client_id, object_id_field: 'title', timestamp: new Date().toISOString(), message_type: 'INFO', message: '', query_attributes: {}
    }),
    // The collector's own kind of event: no position, empty strings, and whatever the shop knows of the thing.
    await post('ubi_events', {
      application: 'shop', action_name: 'click', query_id: id, session_id: 's-1', client_id: ubi.client_id, user_id: '', timestamp: new Date().toISOString(), message_type: 'INFO', message: '',
      event_attributes: { object: { object_id: hit._source.title, object_id_field: 'title', description: null, price: hit._source.price, tags: ['a', { b: 1 }] } }
    }),
    // The kind of the project's samples: seconds or milliseconds since 1970, and a position that says nothing.
    await post('ubi_events', {
      action_name: 'add_to_cart', query_id: id, client_id: ubi.client_id, timestamp: Date.now(), user_query: ubi.user_query,
      event_attributes: { object: { object_id: hit._source.title, object_id_field: 'title' }, position: {} }
    }),
    await post('ubi_events', {
      action_name: 'purchase', query_id: id, client_id: ubi.client_id, timestamp: Math.floor(Date.now() / 1000), user_query: ubi.user_query,
      event_attributes: { object: { object_id: hit._source.title, object_id_field: 'title' }, position: { ordinal: 2 } }
    })
  ]
  await client.close()
  process.stdout.write(JSON.stringify({ client: ubi.client_id, id, header: headers['x-rerank-query-id'], rerank: headers['x-rerank'], hits: body.hits.hits.map(h => h._source.title), told }))
}

main(...process.argv.slice(2)).catch(error => { console.error(error); process.exitCode = 1 })
