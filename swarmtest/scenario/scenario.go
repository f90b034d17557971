package scenario

import (
	"math"
	"time"
)

// Forever is the time of what never ends or never happens.
const Forever = time.Duration(math.MaxInt64)

// Unlimited is the rate of a link that is never full, and the size of a disk that is.
const Unlimited int64 = 0

// Scenario is a scenario with every default filled in. The keys are described
// in keys.go; rates are bytes/s.
type Scenario struct {
	// Name is the file's name without its ending.
	Name string

	Title       string `toml:"title"`
	Shows       string `toml:"shows"`
	Description string `toml:"description"`
	Seed        uint64 `toml:"seed"`
	Replicas    int    `toml:"replicas"`

	Content Content  `toml:"content"`
	Origin  Origin   `toml:"origin"`
	Demand  Demand   `toml:"demand"`
	Network Network  `toml:"network"`
	Engine  Engine   `toml:"engine"`
	HTTP    HTTP     `toml:"http"`
	Tracker Tracker  `toml:"tracker"`
	DHT     DHT      `toml:"dht"`
	Samples Samples  `toml:"samples"`
	Limits  Limits   `toml:"limits"`
	Prices  Prices   `toml:"prices"`
	Classes []Class  `toml:"class"`
	Regions []Region `toml:"region"`
	ISPs    []ISP    `toml:"isp"`
	Systems []System `toml:"system"`
	Servers []Server `toml:"server"`
	Faults  []Fault  `toml:"fault"`

	// Trace is what the file Demand.Trace says.
	Trace []Arrival
}

// Content is what is distributed.
type Content struct {
	Length      int64   `toml:"length"`
	PieceLength int64   `toml:"piece_length"`
	Count       int     `toml:"count"`
	Zipf        float64 `toml:"zipf"`
}

// Origin is the publisher: the first seeds of a swarm, the servers behind all
// other systems.
type Origin struct {
	Count int           `toml:"count"`
	Up    int64         `toml:"up"`
	Down  int64         `toml:"down"`
	Leave time.Duration `toml:"leave"`
	// LeaveAfter is in copies of the content that each seed sent, 0 for never.
	LeaveAfter float64 `toml:"leave_after"`

	Region string `toml:"region"`
	ISP    string `toml:"isp"`

	MaxRequests int `toml:"max_requests"`
	Queue       int `toml:"queue"`
}

// Demand says how many come, and when.
type Demand struct {
	Peers       int           `toml:"peers"`
	Arrivals    string        `toml:"arrivals"`
	Window      time.Duration `toml:"window"`
	Rate        float64       `toml:"rate"` // a second
	Decay       time.Duration `toml:"decay"`
	On          time.Duration `toml:"on"`
	Off         time.Duration `toml:"off"`
	Until       time.Duration `toml:"until"`
	Users       int           `toml:"users"` // 0: everybody comes once
	Trace       string        `toml:"trace"`
	TraceSHA256 string        `toml:"trace_sha256"`
}

// The values of Demand.Arrivals.
const (
	AtOnce   = "at-once"
	Window   = "window"
	Poisson  = "poisson"
	Decaying = "decaying"
	OnOff    = "on-off"
	Trace    = "trace"
)

// Network is what lies between the access links.
type Network struct {
	Model     string        `toml:"model"`
	Latency   time.Duration `toml:"latency"`
	SlowStart bool          `toml:"slow_start"`
	Loss      float64       `toml:"loss"` // a part of all packets
}

// The values of Network.Model.
const (
	Constant    = "constant"
	Matrix      = "matrix"
	Coordinates = "coordinates"
)

// Engine is what the clients do, for ablations.
type Engine struct {
	Picker      string `toml:"picker"`
	Choking     bool   `toml:"choking"`
	Endgame     bool   `toml:"endgame"`
	MaxPeers    int    `toml:"max_peers"`
	UploadSlots int    `toml:"upload_slots"`
}

// The values of Engine.Picker.
const (
	Rarest     = "rarest"
	Random     = "random"
	Sequential = "sequential"
)

// Tracker is the tracker of a swarm.
type Tracker struct {
	Interval time.Duration `toml:"interval"`
}

// DHT is the DHT of a swarm, beside the nodes of its peers.
type DHT struct {
	Nodes   int `toml:"nodes"`
	Routers int `toml:"routers"`
}

// Samples says how often the state is noted.
type Samples struct {
	Every time.Duration `toml:"every"`
}

// Limits say when a run ends.
type Limits struct {
	Time     time.Duration `toml:"time"`
	Patience time.Duration `toml:"patience"`
}

// Class is a kind of client.
type Class struct {
	Name      string        `toml:"name"`
	Share     float64       `toml:"share"`
	Count     int           `toml:"count"`
	Up        int64         `toml:"up"`
	Down      int64         `toml:"down"`
	NAT       float64       `toml:"nat"`
	FreeRider bool          `toml:"free_rider"`
	Corrupt   bool          `toml:"corrupt"`
	Loss      float64       `toml:"loss"`
	SeedFor   time.Duration `toml:"seed_for"`
	SeedTimes string        `toml:"seed_times"`
	GiveUp    time.Duration `toml:"give_up"`
	Region    string        `toml:"region"`
	ISP       string        `toml:"isp"`
}

// The values of Class.SeedTimes.
const (
	Fixed       = "fixed"
	Exponential = "exponential"
)

// Region is a part of the world.
type Region struct {
	Name    string          `toml:"name"`
	Share   float64         `toml:"share"`
	Latency []time.Duration `toml:"latency"`
	At      []time.Duration `toml:"at"`
	Spread  time.Duration   `toml:"spread"`
}

// ISP is a provider of access links.
type ISP struct {
	Name   string  `toml:"name"`
	Share  float64 `toml:"share"`
	Region string  `toml:"region"`
	// NoProxy leaves it without the proxy of System.PerISP.
	NoProxy bool `toml:"no_proxy"`
}

// Arrival is a row of a trace.
type Arrival struct {
	Join    time.Duration
	Class   int // in Scenario.Classes
	Content int
	Stay    time.Duration // Forever if it does not give up
}
