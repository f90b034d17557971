package admin

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/ledger"
)

var torrentRoutes = []route{
	{method: "GET", path: "/api/torrents", forUsers: true, query: []string{"limit", "after"}, handle: listTorrents},
	{method: "POST", path: "/api/torrents", forUsers: true, role: account.Uploader, maxLen: metainfo.MaxTorrentLen, status: http.StatusCreated, handle: addTorrent},
	{method: "GET", path: "/api/torrents/{hash}", forUsers: true, handle: showTorrent},
	{method: "DELETE", path: "/api/torrents/{hash}", role: account.Moderator, status: http.StatusNoContent, handle: removeTorrent},
	{method: "GET", path: "/api/torrents/{hash}/file", forUsers: true, handle: getTorrentFile},
	{method: "GET", path: "/api/torrents/{hash}/keys", role: account.Admin, handle: listTorrentKeys},
	{method: "POST", path: "/api/torrents/{hash}/keys", role: account.Admin, status: http.StatusCreated, handle: addTorrentKey},
	{method: "DELETE", path: "/api/torrents/{hash}/keys/{name}", role: account.Admin, handle: removeTorrentKeys},
}

// maxKeys bounds the keys of a torrent that are counted for its list.
const maxKeys = 10_000

// torrentType is the media type of a .torrent file.
const torrentType = "application/x-bittorrent"

// The JSON of torrents.
type (
	torrentJSON struct {
		InfoHash   string         `json:"info_hash"`
		Name       string         `json:"name"`
		Bytes      int64          `json:"bytes"`
		AddedBy    string         `json:"added_by,omitempty"`
		Added      time.Time      `json:"added"`
		Promotion  *promotionJSON `json:"promotion"`
		Uploaded   int64          `json:"uploaded"`
		Downloaded int64          `json:"downloaded"`
		SeedSec    int64          `json:"seed_seconds"`
		Snatches   int64          `json:"snatches"`
		Seeds      int64          `json:"seeds"`    // in the swarm at this moment
		Leechers   int64          `json:"leechers"` // likewise
	}
	torrentsJSON struct {
		Torrents []torrentJSON `json:"torrents"`
		Next     string        `json:"next,omitempty"`
	}
	addedJSON struct {
		torrentJSON
		FromInfoHash    string   `json:"from_info_hash"`
		InfoHashChanged bool     `json:"info_hash_changed"`
		Changes         []string `json:"changes"`
	}
	torrentKeysJSON struct {
		Keys []torrentKeyJSON `json:"keys"`
		More bool             `json:"more,omitempty"` // there are more than were counted
	}
	torrentKeyJSON struct {
		Name  string `json:"name"`
		Count int    `json:"count"`
	}
	newTorrentKeyJSON struct {
		Name string `json:"name"`
	}
	removedJSON struct {
		Removed int64 `json:"removed"`
	}
)

func (c *call) torrentJSON(t account.TorrentReport) torrentJSON {
	j := torrentJSON{
		InfoHash: t.InfoHash.String(), Name: t.Name, Bytes: t.Len, Added: inUTC(t.AddedAt), Promotion: promotionOf(t.Promotion),
		Uploaded: t.Uploaded, Downloaded: t.Downloaded, SeedSec: int64(t.SeedTime / time.Second), Snatches: t.Snatches,
	}
	if by, ok := c.cfg.Accounts.UserByID(t.AddedBy); ok {
		j.AddedBy = by.Name
	}
	if swarm, ok := c.cfg.Tracker.Swarm(t.InfoHash); ok {
		j.Seeds, j.Leechers = int64(swarm.Complete), int64(swarm.Incomplete)
	}
	return j
}

func listTorrents(ctx context.Context, c *call) (any, error) {
	torrents, next, err := part(c, 0, func(after int64, limit int) ([]account.TorrentReport, error) {
		return c.cfg.Store.TorrentsAfter(ctx, ledger.TorrentID(after), limit)
	}, func(t account.TorrentReport) int64 { return int64(t.ID) }, c.torrentJSON)
	return torrentsJSON{torrents, next}, err
}

// torrent returns the one in the path.
func (c *call) torrent(ctx context.Context) (account.TorrentReport, error) {
	h, err := c.infoHash()
	if err != nil {
		return account.TorrentReport{}, err
	}
	return c.cfg.Store.Torrent(ctx, h)
}

func showTorrent(ctx context.Context, c *call) (any, error) {
	t, err := c.torrent(ctx)
	if err != nil {
		return nil, err
	}
	return c.torrentJSON(t), nil
}

// addTorrent takes a .torrent file as the body.
func addTorrent(ctx context.Context, c *call) (any, error) {
	if contentType, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || contentType != torrentType {
		return nil, problemf(http.StatusUnsupportedMediaType, `send the .torrent file as the body, with the header "Content-Type: %s"`, torrentType)
	}
	select {
	case c.uploads <- struct{}{}:
		defer func() { <-c.uploads }()
	default:
		return nil, problemf(http.StatusServiceUnavailable, "others add torrents right now; try again in a moment")
	}
	file, err := io.ReadAll(c.Body)
	if err != nil {
		return nil, err
	}
	settings, err := c.cfg.Store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	own, err := account.MakeOwn(file, settings.Source)
	if err != nil {
		return nil, bad("%v", err)
	}
	t := own.NewTorrent(c.cfg.Now())
	t.AddedBy = c.user.ID
	added, err := c.cfg.Store.AddTorrent(ctx, t, own.File)
	if err := c.changed(ctx, err); err != nil {
		return nil, err
	}
	return addedJSON{
		torrentJSON:  c.torrentJSON(account.TorrentReport{Torrent: added}),
		FromInfoHash: own.From.String(), InfoHashChanged: own.From != own.InfoHash, Changes: append([]string{}, own.Changes...),
	}, nil
}

func removeTorrent(ctx context.Context, c *call) (any, error) {
	h, err := c.infoHash()
	if err != nil {
		return nil, err
	}
	return nil, c.changed(ctx, c.cfg.Store.RemoveTorrent(ctx, h))
}

// getTorrentFile returns a .torrent file with the caller's announce URL in it.
// Its key is good for this torrent only: files get about more easily than
// keys.
func getTorrentFile(ctx context.Context, c *call) (any, error) {
	u, err := c.me()
	if err != nil {
		return nil, err
	}
	t, err := c.torrent(ctx)
	if err != nil {
		return nil, err
	}
	base, err := c.base(ctx)
	if err != nil {
		return nil, err
	}
	file, err := c.cfg.Store.TorrentFile(ctx, t.InfoHash)
	if err != nil {
		return nil, err
	}
	key := c.key.ForTorrent(t.InfoHash)
	if file, err = account.WithKey(file, base, key); err != nil {
		return nil, err
	}
	err = c.cfg.Accounts.AddKey(ctx, account.StoredKey{Hash: key.Hash(), User: u.ID, Torrent: t.ID}, c.key.Hash())
	if err != nil && !errors.Is(err, account.ErrExists) { // then he has downloaded it before
		return nil, keyIsGone(err)
	}
	return raw{torrentType, metainfo.SafeName(t.Name) + ".torrent", file}, nil
}

// listTorrentKeys says who has keys for a torrent. The keys themselves nobody
// knows any more.
func listTorrentKeys(ctx context.Context, c *call) (any, error) {
	t, err := c.torrent(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := c.cfg.Store.TorrentKeys(ctx, t.ID, maxKeys+1)
	list := torrentKeysJSON{Keys: []torrentKeyJSON{}, More: len(keys) > maxKeys}
	for i, key := range keys[:min(len(keys), maxKeys)] {
		if i == 0 || key.User != keys[i-1].User {
			u, _ := c.cfg.Accounts.UserByID(key.User)
			list.Keys = append(list.Keys, torrentKeyJSON{Name: u.Name})
		}
		list.Keys[len(list.Keys)-1].Count++
	}
	return list, err
}

func addTorrentKey(ctx context.Context, c *call) (any, error) {
	var in newTorrentKeyJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	t, err := c.torrent(ctx)
	if err != nil {
		return nil, err
	}
	u, err := c.cfg.Store.User(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return c.tellKey(ctx, u.Name, func(key account.Key) error {
		return c.cfg.Store.AddKey(ctx, account.StoredKey{Hash: key.Hash(), User: u.ID, Torrent: t.ID}, account.KeyHash{})
	})
}

func removeTorrentKeys(ctx context.Context, c *call) (any, error) {
	t, err := c.torrent(ctx)
	if err != nil {
		return nil, err
	}
	u, err := c.named(ctx)
	if err != nil {
		return nil, err
	}
	removed, err := c.cfg.Store.RemoveTorrentKeys(ctx, t.ID, u.ID)
	return removedJSON{removed}, c.changed(ctx, err)
}
