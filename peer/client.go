package peer

import "context"

// Client shares torrents.
type Client struct{}

// New returns a client that listens. Close ends it.
func New(cfg Config) (*Client, error) { return nil, nil }

// Port is where the client listens, 0 if it does not.
func (c *Client) Port() int { return 0 }

// Add starts to share a torrent.
func (c *Client) Add(cfg TorrentConfig) (*Torrent, error) { return nil, nil }

// Close stops every torrent as Torrent.Stop does, then closes the sockets.
func (c *Client) Close(ctx context.Context) error { return nil }
