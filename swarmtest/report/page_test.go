package report

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/shoal-bt/shoal/swarmtest/result"
)

// pageOf writes the report of a run and returns its page.
func pageOf(t *testing.T, run *result.Run) string {
	t.Helper()
	digest := NewDigest(run)
	text, err := runPage(run, digest.Summary, runFigures(run, digest)).html()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// elements returns the elements of a page by their names.
func elements(t *testing.T, page string) map[string][]*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]*html.Node{}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			found[n.Data] = append(found[n.Data], n)
		}
	}
	return found
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// textOf is all text below a node.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

var svgText = regexp.MustCompile(`(?s)<svg.*?</svg>`)

func TestPageShowsWhatAReaderNeeds(t *testing.T) {
	page := pageOf(t, invented())
	found := elements(t, page)
	var titles []string
	for _, figure := range found["figure"] {
		for n := range figure.Descendants() {
			if n.DataAtom == atom.H2 {
				titles = append(titles, textOf(n))
			}
		}
	}
	got := strings.Join(titles, "; ")
	for _, want := range []string{"Completion", "Data sent", "Seeds and leechers", "Use of the uplinks", "Copies of pieces", "Entropy", "Share ratio", "publisher", "Cost"} {
		if !strings.Contains(got, want) {
			t.Errorf("no figure of %q among %s", want, got)
		}
	}
	if len(found["table"]) != 3 || len(found["h1"]) != 1 || attribute(found["html"][0], "lang") != "en" {
		t.Errorf("%d tables, %d headings", len(found["table"]), len(found["h1"]))
	}
	for _, row := range []string{"mean download time", "median", "95th percentile", "last completion", "times the bound", "copies from the publisher", "offload", "Jain’s index", "cost"} {
		if !strings.Contains(textOf(found["table"][0]), row) {
			t.Errorf("the summary has no row %q", row)
		}
	}
}

func TestImagesOfThePageAreAccessibleXML(t *testing.T) {
	page := pageOf(t, invented())
	images := svgText.FindAllString(page, -1)
	if len(images) < 12 {
		t.Fatalf("%d images", len(images))
	}
	for _, image := range images {
		d := xml.NewDecoder(strings.NewReader(image))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %.200s", err, image)
			}
		}
	}
	ids := map[string]string{}
	for name, nodes := range elements(t, page) {
		for _, n := range nodes {
			if id := attribute(n, "id"); id != "" {
				if _, twice := ids[id]; twice {
					t.Errorf("the id %q is there twice", id)
				}
				ids[id] = strings.TrimSpace(name + textOf(n))
			}
		}
	}
	for _, svg := range elements(t, page)["svg"] {
		for _, id := range strings.Fields(attribute(svg, "aria-labelledby")) {
			if text := ids[id]; text == "" || text == "title" || text == "desc" {
				t.Errorf("the image's %q says nothing", id)
			}
		}
		if attribute(svg, "aria-labelledby") == "" && attribute(svg, "aria-hidden") != "true" {
			t.Error("an image has no name")
		}
	}
}

func TestPageLoadsAndRunsNothing(t *testing.T) {
	page := pageOf(t, invented())
	found := elements(t, page)
	for _, name := range []string{"script", "img", "iframe", "object", "embed", "base", "form", "audio", "video", "foreignObject"} {
		if len(found[name]) > 0 {
			t.Errorf("there is a %s element", name)
		}
	}
	for _, nodes := range found {
		for _, n := range nodes {
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s has an attribute %s, which the policy forbids", n.Data, a.Key)
				}
			}
		}
	}
	withoutNamespaces := strings.ReplaceAll(page, `xmlns="http://www.w3.org/2000/svg"`, "")
	for _, reference := range []string{"http:", "https:", "//", "@import", "file:", "src="} {
		if at := strings.Index(withoutNamespaces, reference); at >= 0 {
			t.Errorf("%q is in the page: %.60s", reference, withoutNamespaces[at:])
		}
	}
	policy := attribute(found["meta"][1], "content")
	style := found["style"][0].FirstChild.Data
	sum := sha256.Sum256([]byte(style))
	if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "'sha256-"+hash+"'") {
		t.Errorf("the policy %q does not name the style sheet's hash %s", policy, hash)
	}
}

func TestHostileNamesAreText(t *testing.T) {
	const evil = `</svg></style><script>alert("x")</script><img src=http://example.com/x onerror=alert(1)>` + "\x00\x1b\u202e\xff"
	run := inventedRun(1, 2, nil)
	run.Name, run.Title, run.Scenario, run.ScenarioHash, run.Version = evil, evil, evil, evil, evil
	for i := range run.Systems {
		s := &run.Systems[i]
		s.Name, s.Reason, s.BoundName, s.Currency, s.EventLog = evil+s.Name, evil, evil, evil, evil
		s.Completed = false
		for j := range s.Sources {
			s.Sources[j].Name += evil
		}
		for j := range s.Peers {
			s.Peers[j].Class += evil
		}
		s.Peers[1].Complete = 0
		s.Samples[1].UplinkUse, s.Samples[1].Entropy = math.NaN(), math.Inf(1)
	}
	page := pageOf(t, run)
	found := elements(t, page)
	if len(found["script"])+len(found["img"]) > 0 || len(found["style"]) != 1 {
		t.Error("a name became an element")
	}
	if !strings.Contains(textOf(found["h1"][0]), "<script>") {
		t.Errorf("the title is not shown as text: %q", textOf(found["h1"][0]))
	}
	if at := strings.IndexAny(page, "\x00\x1b"); at >= 0 {
		t.Errorf("a control character is in the page: %q", page[max(at-150, 0):at])
	}
	for _, image := range svgText.FindAllString(page, -1) {
		if err := xml.Unmarshal([]byte(image), new(struct{})); err != nil {
			t.Fatalf("%v in %.300s", err, image)
		}
	}
	if err := Write(t.TempDir(), run); err != nil {
		t.Error(err)
	}
}

// Ten thousand peers and as many samples cost no more than a few pixels do.
func TestLargeRunsHaveSmallPages(t *testing.T) {
	run := inventedRun(1, 2, nil)
	for i := range run.Systems {
		s := &run.Systems[i]
		peers, samples := downloaders(s), s.Samples
		for j := range 10_000 {
			p := *peers[j%len(peers)]
			p.Complete = time.Duration(1+(j*7919)%10_000) * 37 * time.Millisecond
			p.Class += strings.Repeat("x", j%200)
			s.Peers = append(s.Peers, p)
			sample := samples[j%len(samples)]
			sample.At = samples[len(samples)-1].At + time.Duration(j)*time.Second
			sample.UplinkUse = float64(j*7919%1000) / 1000
			s.Samples = append(s.Samples, sample)
		}
	}
	run.Scenario = strings.Repeat("# a long trace <&>\n", 1<<16)
	if size := len(pageOf(t, run)); size > 500_000 {
		t.Errorf("the page has %d bytes", size)
	}
}

func TestEmptyRunsHaveReports(t *testing.T) {
	for _, run := range []*result.Run{
		{},
		{Systems: []result.System{{Name: "swarm", Kind: result.Swarm}}},
		{Systems: []result.System{{Name: "x", Kind: "y", Peers: []result.Peer{{}, {Server: true}}, Samples: make([]result.Sample, 3)}}},
	} {
		if err := Write(t.TempDir(), run); err != nil {
			t.Error(err)
		}
	}
	if Write(t.TempDir(), &result.Run{Systems: make([]result.System, 2)}) == nil {
		t.Error("systems without names are written")
	}
}
