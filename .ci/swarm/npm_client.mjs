// The client of npm's bittorrent-tracker:
//
//     npm_client.mjs INDEX_JS ANNOUNCE_URL INFO_HASH PORT
//
// It downloads nothing, but announces as a client that does. At each SIGUSR2 it
// takes the next step: start, complete, scrape, stop. It prints a line of JSON
// for each answer, and ends after the last.
const [index, url, infoHash, port] = process.argv.slice(2)
const { default: Client } = await import(index)

const client = new Client({ infoHash, peerId: Buffer.from('-SH0000-npmnpmnpmnpm'), announce: [url], port: Number(port) })
const say = (what, answer) => console.log(JSON.stringify({ what, complete: answer.complete, incomplete: answer.incomplete, downloaded: answer.downloaded }))
client.on('error', (error) => { console.error(error); process.exit(1) })
client.on('warning', (warning) => { console.error(warning); process.exit(1) })
client.on('scrape', (answer) => say('scrape', answer))
client.on('peer', (address) => console.log(JSON.stringify({ what: 'peer', address })))

let step = 'waiting'
client.on('update', (answer) => {
  say(step, answer)
  if (step === 'stop') client.destroy(() => process.exit(0))
})
const steps = [
  ['start', () => client.start({ left: 1000 })],
  ['complete', () => client.complete({ left: 0, downloaded: 1000 })],
  ['scrape', () => client.scrape()],
  ['stop', () => client.stop({ left: 0, downloaded: 1000 })]
]
process.on('SIGUSR2', () => {
  const [name, take] = steps.shift()
  step = name
  take()
})
console.log(JSON.stringify({ what: 'ready' }))
setInterval(() => {}, 1000) // a listener for signals keeps no process alive
