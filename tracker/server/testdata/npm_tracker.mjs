// Runs npm's bittorrent-tracker for the differential test:
//
//     npm_tracker.mjs INDEX_JS IPV4 PORT INFO_HASH...
//
// It serves HTTP and UDP on the IPv4 address and on ::1, at one port, and only
// the info-hashes that are given. It prints a line when it listens.
import http from 'node:http'

const [index, address, port, ...infoHashes] = process.argv.slice(2)
const { Server } = await import(index)

const server = new Server({
  ws: false,
  stats: false,
  filter: (infoHash, params, done) => done(infoHashes.includes(infoHash) ? null : new Error('not on the list'))
})
server.on('error', (error) => { console.error(error); process.exit(1) })
server.on('warning', () => {})
server.listen(Number(port), { http: address, udp: address, udp6: '::1' }, () => {
  const second = http.createServer((request, response) => server.onHttpRequest(request, response))
  second.listen(Number(port), '::1', () => console.log('listening'))
})
