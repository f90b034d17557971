package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/account"
)

// ask sends a GET with a token or key, or without if secret is empty, and returns
// the status and the body.
func ask(t *testing.T, url, secret string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// send sends a POST, and reads the JSON of the answer.
func send(t *testing.T, url, secret, contentType string, body []byte, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
}

// The API and the metrics of a tracker that runs: the operator at a port of
// their own, a user at the tracker's.
func TestTrackerAPI(t *testing.T) {
	p := startPrivate(t, "--admin", ":0", "--metrics", ":0")
	api, metrics := "http://"+p.addr(t, "admin"), "http://"+p.addr(t, "metrics")
	if !strings.HasPrefix(api, "http://127.0.0.1:") || !strings.HasPrefix(metrics, "http://127.0.0.1:") {
		t.Errorf("a port alone listens on %s and %s", api, metrics)
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(p.db), "tracker.token"))
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(string(b))
	torrent, _ := makeTorrent(t, "data", randomFiles(21, mixedFiles))
	file, err := os.ReadFile(torrent)
	if err != nil {
		t.Fatal(err)
	}
	var anna struct{ Key string }
	send(t, api+"/api/users", token, "application/json", []byte(`{"name":"anna"}`), &anna)
	var added addedJSON
	send(t, api+"/api/torrents", token, "application/x-bittorrent", file, &added)

	if status, body := ask(t, api+"/api/stats", token); status != 200 || !strings.Contains(body, `"users":1`) {
		t.Errorf("%d %s", status, body)
	}
	for url, want := range map[string]int{
		api + "/api/users": 401, p.url + "/api/users": 404, p.url + "/api/torrents": 401, api + "/healthz": 200, api + "/readyz": 200, metrics + "/readyz": 200,
	} {
		if status, body := ask(t, url, "wrong"); status != want {
			t.Errorf("%s: %d %s, want %d", url, status, body, want)
		}
	}
	status, body := ask(t, p.url+"/api/torrents/"+added.InfoHash+"/file", anna.Key)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	m, err := metainfo.Parse([]byte(body))
	if err != nil || m.InfoHash.String() != added.InfoHash || !strings.HasPrefix(m.Announce[0][0], p.url) {
		t.Errorf("%+v, %v", m, err)
	}
	_, page := ask(t, metrics+"/metrics", "")
	if !strings.Contains(page, "shoal_tracker_users 1\n") {
		t.Error(page)
	}
	r := p.stop()
	for _, secret := range []string{token, anna.Key, strings.Split(m.Announce[0][0], "/")[3]} {
		if strings.Contains(page+r.stdout+r.stderr, secret) {
			t.Errorf("%s is told", secret)
		}
	}
}

func TestTrackerOversightUsage(t *testing.T) {
	for _, flags := range [][]string{{"--open", "--admin", ":0"}, {"--private", "--admin", "nonsense"}, {"--open", "--metrics", "nonsense"}, {"--open", "--backups", "x"}} {
		if r := shoal(t, append([]string{"tracker", "run"}, flags...)...); r.code != exitUsage {
			t.Errorf("%v: exit %d, %s", flags, r.code, r.stderr)
		}
	}
}

// shellOf returns the commands of a document's blocks of a language.
func shellOf(t *testing.T, document, language string) string {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var shell strings.Builder
	inBlock := false
	for line := range strings.Lines(string(b)) {
		switch {
		case strings.TrimSpace(line) == "```"+language:
			inBlock = true
		case strings.HasPrefix(line, "```"):
			inBlock = false
		case inBlock:
			shell.WriteString(line)
		}
	}
	return shell.String()
}

// The commands of the document work as they stand.
func TestTrackerAPIDocument(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	p := startPrivate(t, "--admin", ":0")
	admin := p.addr(t, "admin")
	folder := filepath.Dir(p.db) // where the token is
	torrent, _ := makeTorrent(t, "data", randomFiles(21, mixedFiles), "--announce", "http://foreign.example/announce")
	if err := os.Rename(torrent, filepath.Join(folder, "photos.torrent")); err != nil {
		t.Fatal(err)
	}
	shell := shellOf(t, filepath.Join("..", "..", "docs", "tracker-api.md"), "sh")
	const port = "127.0.0.1:6970"
	if strings.Count(shell, port) != 1 || strings.Count(shell, "$API/") < 15 {
		t.Fatalf("the document has other commands than it had:\n%s", shell)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", strings.Replace(shell, port, admin, 1))
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "no_proxy=*", "CURL_HOME="+folder) // curl as it is for everybody
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var added struct {
		From    string `json:"from_info_hash"`
		To      string `json:"info_hash"`
		Changed bool   `json:"info_hash_changed"`
	}
	b, err := os.ReadFile(filepath.Join(folder, "added.json"))
	if err == nil {
		err = json.Unmarshal(b, &added)
	}
	if err != nil || !added.Changed || added.From == added.To {
		t.Errorf("%s, %v", b, err)
	}
	if m, err := metainfo.Load(filepath.Join(folder, "berta.torrent")); err != nil || m.InfoHash.String() != added.To || len(m.Announce) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	var berta userJSON
	p.do(&berta, "user", "show", "berta")
	if berta.State != account.Disabled.String() {
		t.Errorf("%+v", berta)
	}
	if backups, err := os.ReadDir(filepath.Join(folder, "backups")); err != nil || len(backups) != 1 {
		t.Errorf("%v, %v", backups, err)
	}
	if status, _ := ask(t, "http://"+admin+"/api/openapi.yaml", ""); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}
