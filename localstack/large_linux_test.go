package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
)

// TestALargePageTakesLittleMemory reads a page of 1,000 interactions, 200 MB in
// all, which may cost the process no more than a part of that: it is sent while
// it is read. What it costs has a bound, however large the page: half of it is
// the store's cache of what was read, which the second reading finds full.
func TestALargePageTakesLittleMemory(t *testing.T) {
	t.Parallel()
	const n, each, mostMemory = 1000, 200_000, 160 << 20
	p := start(t, "DATA_DIR="+t.TempDir())
	p.done(testKey, http.MethodPost, "/accounts", records(account("a")))
	random := rand.NewChaCha8([32]byte{1})
	const atOnce = 40
	for i := 0; i < n; i += atOnce {
		var batch []string
		for j := range atOnce {
			text := make([]byte, each/4*3)
			_, _ = random.Read(text) // never fails
			batch = append(batch, fmt.Sprintf(`{"account_id":"a","external_id":"%d","create_time":1,"type":"email","details":%q}`,
				i+j, base64.StdEncoding.EncodeToString(text)))
		}
		p.done(testKey, http.MethodPost, "/interactions", records(batch...))
	}
	// What the uploads took is not the page's: only a process that has served
	// nothing else shows that.
	dir := p.command.Env
	p.terminate()
	p.ends(0)
	p = start(t, dir...)
	p.done(testKey, http.MethodGet, "/accounts/a", "")
	before := p.memory("VmRSS")
	for range 2 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.address+"/api/v2/interactions?direction=asc", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("api", testKey)
		request.Header.Set("Accept-Encoding", "identity")
		response, err := p.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 64)
		if _, err := io.ReadFull(response.Body, head); err != nil || !bytes.HasPrefix(head, []byte(`{"current_page":0,`)) {
			t.Fatalf("the page begins with %q, %v", head, err)
		}
		size, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil || size < n*each {
			t.Fatalf("%d bytes arrived, %v", size, err)
		}
	}
	grown := p.memory("VmHWM") - before
	t.Logf("%d MB more", grown>>20)
	if grown >= mostMemory {
		t.Errorf("the process grew by %d MB, from %d MB", grown>>20, before>>20)
	}
}
