package report

import (
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var keep = flag.String("keep", "", "a folder in which the reports and screenshots of the browser test stay")

// browsers are the names under which chromium is installed.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// The colour schemes, as the browser's settings number them.
const (
	darkScheme  = 0
	lightScheme = 1
)

func browser(t *testing.T) string {
	if testing.Short() {
		t.Skip("a browser needs some seconds to start")
	}
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("NOT TESTED: that the report opens in a browser. No chromium is installed")
	return ""
}

// spy serves a page and notes whatever else is asked for. The browser finds it under every name of a host.
type spy struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newSpy(t *testing.T, page []byte) *spy {
	s := &spy{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Host+r.URL.Path)
		s.mu.Unlock()
		if r.URL.Path != "/report.html" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(page)
	}))
	t.Cleanup(s.Close)
	return s
}

// makers are whose hosts a browser asks on errands of its own. They lead here too, and say nothing about
// the page.
var makers = []string{".google.com", ".googleapis.com", ".gstatic.com", ".gvt1.com"}

// requests are those that the page can have made.
func (s *spy) requests() (requests []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, request := range s.asked {
		host, _, _ := strings.Cut(request, "/")
		if !slices.ContainsFunc(makers, func(suffix string) bool { return strings.HasSuffix(host, suffix) }) {
			requests = append(requests, request)
		}
	}
	return requests
}

// screenshot lets the browser open a URL and returns what it shows.
func screenshot(t *testing.T, s *spy, url string, scheme, width, height int) image.Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shot.png")
	cmd := exec.CommandContext(t.Context(), browser(t),
		"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions", "--disable-component-update",
		"--disable-background-networking", "--disable-sync", "--disable-default-apps", "--no-proxy-server",
		"--user-data-dir="+t.TempDir(),
		"--host-resolver-rules=MAP * "+s.Listener.Addr().String(),
		fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme),
		fmt.Sprintf("--window-size=%d,%d", width, height),
		"--screenshot="+file, url)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	shot, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	keepShot(t, file, fmt.Sprintf("%d-%d.png", scheme, width))
	return shot
}

func keepShot(t *testing.T, file, name string) {
	if *keep == "" {
		return
	}
	content, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(*keep, name), content, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// shade is how bright the paper is, 0 to 1, and how much of the image is something else.
func shade(shot image.Image) (paper, inked float64) {
	counts := map[color.Gray]int{}
	bounds := shot.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[color.GrayModel.Convert(shot.At(x, y)).(color.Gray)]++
		}
	}
	var most color.Gray
	for gray, n := range counts {
		if n > counts[most] {
			most = gray
		}
	}
	pixels := bounds.Dx() * bounds.Dy()
	return float64(most.Y) / 255, 1 - float64(counts[most])/float64(pixels)
}

// hues counts pixels of the colours of the first two styles: the swarm's blue and the origin's
// orange.
func hues(shot image.Image) (blue, orange int) {
	bounds := shot.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, _, b, _ := shot.At(x, y).RGBA()
			switch difference := int(b>>8) - int(r>>8); {
			case difference > 80:
				blue++
			case difference < -80:
				orange++
			}
		}
	}
	return blue, orange
}

func TestReportOpensInABrowser(t *testing.T) {
	browser(t)
	dir := t.TempDir()
	if *keep != "" {
		dir = *keep
	}
	if err := Write(dir, invented()); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, htmlFile))
	if err != nil {
		t.Fatal(err)
	}
	s := newSpy(t, page)
	for _, c := range []struct {
		name                  string
		scheme, width, height int
		paper                 [2]float64
	}{
		{"light", lightScheme, 1280, 1500, [2]float64{0.95, 1}},
		{"dark phone", darkScheme, 500, 1900, [2]float64{0, 0.15}},
	} {
		t.Run(c.name, func(t *testing.T) {
			shot := screenshot(t, s, "http://report.test/report.html", c.scheme, c.width, c.height)
			if size := shot.Bounds().Size(); size.X != c.width || size.Y != c.height {
				t.Errorf("the screenshot has %v pixels", size)
			}
			paper, inked := shade(shot)
			if paper < c.paper[0] || paper > c.paper[1] {
				t.Errorf("the paper's brightness is %.2f, want %v", paper, c.paper)
			}
			if inked < 0.05 || inked > 0.6 {
				t.Errorf("%.1f %% of the page are inked", 100*inked)
			}
			// without its style sheet the page would be black on white
			if blue, orange := hues(shot); blue < 3000 || orange < 3000 {
				t.Errorf("%d blue and %d orange pixels: the figures are not drawn in colour", blue, orange)
			}
		})
	}
	for _, request := range s.requests() {
		if request != "report.test/report.html" {
			t.Errorf("the page asked for %s", request)
		}
	}
	if len(s.requests()) != 2 {
		t.Errorf("the page was asked for %d times, want 2", len(s.requests()))
	}
}

// The spy sees what a page loads that does load something: otherwise the test above would show
// nothing.
func TestSpySeesRequests(t *testing.T) {
	browser(t)
	s := newSpy(t, []byte(`<!DOCTYPE html><img src="http://elsewhere.example/pixel.png"><img src="/other.png">`))
	screenshot(t, s, "http://report.test/report.html", lightScheme, 500, 500)
	got := strings.Join(s.requests(), " ")
	for _, want := range []string{"elsewhere.example/pixel.png", "report.test/other.png"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not among %s", want, got)
		}
	}
}
