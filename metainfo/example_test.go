package metainfo_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/shoal-bt/shoal/metainfo"
)

// makeFolder makes a folder of two files inside of another folder, which the
// caller removes, and returns the paths of both.
func makeFolder() (photos, around string) {
	around, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	photos = filepath.Join(around, "photos")
	if err := os.Mkdir(photos, 0o777); err != nil {
		log.Fatal(err)
	}
	for name, length := range map[string]int{"boat.jpg": 40_000, "notes.txt": 100} {
		if err := os.WriteFile(filepath.Join(photos, name), make([]byte, length), 0o666); err != nil {
			log.Fatal(err)
		}
	}
	return photos, around
}

func ExampleCreate() {
	photos, around := makeFolder()
	defer os.RemoveAll(around)

	m, torrent, err := metainfo.Create(context.Background(), photos, metainfo.CreateOptions{
		Announce: [][]string{{"http://tracker.example/announce"}},
		NoDate:   true, // so that the same data gives the same bytes
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(around, "photos.torrent"), torrent, 0o666); err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.InfoHash)
	fmt.Println(m.Info.Geometry.NumPieces(), "pieces")
	// Output:
	// 846f6a320a3357145be1641e88552d942c14092c
	// 3 pieces
}

func ExampleParse() {
	photos, around := makeFolder()
	defer os.RemoveAll(around)
	_, torrent, err := metainfo.Create(context.Background(), photos, metainfo.CreateOptions{})
	if err != nil {
		log.Fatal(err)
	}

	m, err := metainfo.Parse(torrent)
	if err != nil {
		log.Fatal(err) // says what is wrong with the file
	}
	fmt.Println(metainfo.Printable(m.Info.Name)) // a stranger chose the name
	for i, file := range m.Info.Files {
		first, end := m.Info.PieceRange(i)
		fmt.Printf("%s: %d bytes in pieces %d to %d\n", file.DiskPath, file.Length, first, end-1)
	}
	// Output:
	// photos
	// photos/boat.jpg: 40000 bytes in pieces 0 to 2
	// photos/notes.txt: 100 bytes in pieces 2 to 2
}

func ExampleParseMagnet() {
	m, err := metainfo.ParseMagnet("magnet:?xt=urn:btih:c9e15763f722f23e98a29decdfae341b98d53056&dn=Cosmos&tr=http%3A%2F%2Ftracker.example%2Fannounce")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.InfoHash)
	fmt.Println(m.Name, m.Trackers)
	// Output:
	// c9e15763f722f23e98a29decdfae341b98d53056
	// Cosmos [http://tracker.example/announce]
}
