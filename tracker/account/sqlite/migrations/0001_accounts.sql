-- Times are nanoseconds since the Unix epoch, durations nanoseconds, 0 where
-- there was nothing. Users and torrents never get the number of an earlier one.

CREATE TABLE user (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    role             INTEGER NOT NULL,
    state            INTEGER NOT NULL,
    slots            INTEGER NOT NULL,
    up_percent       INTEGER NOT NULL,
    down_percent     INTEGER NOT NULL,
    promoted_from    INTEGER NOT NULL,
    promoted_until   INTEGER NOT NULL,
    invited_by       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    uploaded         INTEGER NOT NULL DEFAULT 0 CHECK (uploaded >= 0),
    downloaded       INTEGER NOT NULL DEFAULT 0 CHECK (downloaded >= 0),
    raw_uploaded     INTEGER NOT NULL DEFAULT 0 CHECK (raw_uploaded >= 0),
    raw_downloaded   INTEGER NOT NULL DEFAULT 0 CHECK (raw_downloaded >= 0),
    seed_time        INTEGER NOT NULL DEFAULT 0 CHECK (seed_time >= 0),
    snatches         INTEGER NOT NULL DEFAULT 0,
    refused_at       INTEGER NOT NULL DEFAULT 0,
    refused_torrent  BLOB    NOT NULL DEFAULT x'',
    refused_because  TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE torrent (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    info_hash        BLOB    NOT NULL UNIQUE CHECK (length(info_hash) = 20),
    name             TEXT    NOT NULL,
    length           INTEGER NOT NULL,
    added_by         INTEGER NOT NULL,
    added_at         INTEGER NOT NULL,
    up_percent       INTEGER NOT NULL,
    down_percent     INTEGER NOT NULL,
    promoted_from    INTEGER NOT NULL,
    promoted_until   INTEGER NOT NULL,
    uploaded         INTEGER NOT NULL DEFAULT 0 CHECK (uploaded >= 0),
    downloaded       INTEGER NOT NULL DEFAULT 0 CHECK (downloaded >= 0),
    seed_time        INTEGER NOT NULL DEFAULT 0 CHECK (seed_time >= 0),
    snatches         INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Files are apart, so that reading the list of torrents does not pass them.
CREATE TABLE torrent_file (
    torrent INTEGER PRIMARY KEY REFERENCES torrent (id) ON DELETE CASCADE,
    file    BLOB NOT NULL
) STRICT;

-- hash is the SHA-256 of a key; torrent is NULL if the key is good for all.
CREATE TABLE key (
    hash    BLOB PRIMARY KEY CHECK (length(hash) = 32),
    user    INTEGER NOT NULL REFERENCES user (id),
    torrent INTEGER REFERENCES torrent (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX key_user ON key (user);
CREATE INDEX key_torrent ON key (torrent);

CREATE TABLE invite (
    hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
    inviter    INTEGER NOT NULL,
    role       INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A user's record on a torrent. It stays when the torrent goes.
CREATE TABLE pair (
    user           INTEGER NOT NULL,
    torrent        INTEGER NOT NULL,
    uploaded       INTEGER NOT NULL CHECK (uploaded >= 0),
    downloaded     INTEGER NOT NULL CHECK (downloaded >= 0),
    raw_uploaded   INTEGER NOT NULL CHECK (raw_uploaded >= 0),
    raw_downloaded INTEGER NOT NULL CHECK (raw_downloaded >= 0),
    seed_time      INTEGER NOT NULL CHECK (seed_time >= 0),
    seeded_until   INTEGER NOT NULL,
    completed_at   INTEGER NOT NULL,
    PRIMARY KEY (user, torrent)
) STRICT, WITHOUT ROWID;
CREATE INDEX pair_completed ON pair (completed_at) WHERE completed_at > 0;

-- The counters of a client's last announce that the sums include.
CREATE TABLE session (
    user       INTEGER NOT NULL,
    torrent    INTEGER NOT NULL,
    peer_id    BLOB    NOT NULL CHECK (length(peer_id) = 20),
    uploaded   INTEGER NOT NULL,
    downloaded INTEGER NOT NULL,
    remaining  INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (user, torrent, peer_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE finding (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user        INTEGER NOT NULL,
    torrent     INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL CHECK (bytes >= 0),
    reviewed_at INTEGER NOT NULL DEFAULT 0,
    verdict     TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX finding_open ON finding (user, torrent, kind) WHERE reviewed_at = 0;

-- The last batch of each run of the tracker, so that none counts twice.
CREATE TABLE flush (
    run BLOB PRIMARY KEY CHECK (length(run) = 16),
    seq INTEGER NOT NULL,
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row. revision changes with every change that announces must know of.
CREATE TABLE site (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    revision       INTEGER NOT NULL,
    url            TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    up_percent     INTEGER NOT NULL,
    down_percent   INTEGER NOT NULL,
    promoted_from  INTEGER NOT NULL,
    promoted_until INTEGER NOT NULL
) STRICT;
INSERT INTO site VALUES (1, 1, '', '', 0, 0, 0, 0);
