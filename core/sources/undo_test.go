package sources_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/sources"
)

// TestAfterAllIsUndoneTheLinksAreThoseThatWere makes decisions of all kinds in any
// order, with runs and searches between them. After each step the links are those of
// the matches, and elsewhere those that there were at first; and so they are once all
// is undone.
func TestAfterAllIsUndoneTheLinksAreThoseThatWere(t *testing.T) {
	w := newWorld(t)
	ours := w.source("ours", func(s *sources.Source) { s.SystemOfRecord = true })
	names := []string{"Initech", "Initech GmbH", "Globex", "Globex Corporation", "Stark Industries", "Umbrella Holding", "Quite another"}
	for i, name := range names {
		w.system.put("ours/companies", row{"id": fmt.Sprint(i), "account_no": fmt.Sprintf("A%d", i), "name": name, "joined": "2024-01-01"})
	}
	w.done(ours)
	worlds := 0
	rapid.Check(t, func(rt *rapid.T) {
		worlds++
		site := fmt.Sprintf("s%d", worlds)
		natives := []string{"a", "b", "c", "d", "e", strings.Repeat("long", 100)}
		name := rapid.SampledFrom([]string{"INITECH", "Initech Inc", "Globex Corp.", "Stark Industries Inc", "Umbrella", "Nobody"})
		account := rapid.SampledFrom([]string{"A0", "A1", "A2", "A3", "A4", "A5", "A6", "gone"})
		s := w.source(site, func(s *sources.Source) { s.Prefix = site + "-" })
		for _, id := range natives {
			w.system.put(site+"/companies", row{"id": id, "name": name.Draw(rt, "name")})
		}
		before := map[string]sources.Link{}
		for _, id := range natives {
			if rapid.IntRange(0, 3).Draw(rt, "linked") == 0 {
				before[id] = sources.Link{Stream: "companies", ID: id, Account: account.Draw(rt, "link"), By: "bob@example.com", Made: int64(len(before)) + 1}
				if err := w.SetLinks(t.Context(), "acme", s.ID, []sources.Link{before[id]}); err != nil {
					rt.Fatal(err)
				}
			}
		}
		stored := w.links(s)
		decisions := func(rejected bool) []sources.Decision {
			all, _, err := w.Decisions(t.Context(), "acme", s.ID, rejected, "", 100)
			if err != nil {
				rt.Fatal(err)
			}
			return all
		}
		undo := func(d sources.Decision) {
			if _, err := w.Undo(t.Context(), "acme", s.ID, d.Stream, d.ID, d.Account); err != nil {
				rt.Fatalf("%+v is not undone: %v", d, err)
			}
		}
		// decide accepts or rejects one of the candidates, if there are any.
		decide := func(do func(p sources.Proposal, account string) error) {
			all, _, err := w.Proposals(t.Context(), "acme", s.ID, "", 100)
			if err != nil {
				rt.Fatal(err)
			}
			if len(all) == 0 {
				return
			}
			p := rapid.SampledFrom(all).Draw(rt, "proposal")
			c := rapid.SampledFrom(p.Candidates).Draw(rt, "candidate")
			if err := do(p, c.Account); err != nil {
				rt.Fatal(err)
			}
		}
		search := func(*rapid.T) {
			w.find(s)
		}
		run := func(rt *rapid.T) {
			id := rapid.SampledFrom(natives).Draw(rt, "record")
			switch rapid.IntRange(0, 3).Draw(rt, "change") {
			case 0:
				w.system.drop(site+"/companies", id)
			case 1:
				w.system.put(site+"/companies", row{"id": id, "name": name.Draw(rt, "name")})
			case 2:
				w.system.put(site+"/companies", row{"id": id, "name": name.Draw(rt, "name"), "account_no": account.Draw(rt, "account")})
			}
			w.run(s, rapid.Bool().Draw(rt, "full"))
		}
		w.run(s, false)
		search(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"accept": func(*rapid.T) {
				decide(func(p sources.Proposal, account string) error {
					_, err := w.Accept(t.Context(), "acme", s.ID, p.Stream, p.ID, account, ann)
					return err
				})
			},
			"reject": func(*rapid.T) {
				decide(func(p sources.Proposal, account string) error {
					_, err := w.Reject(t.Context(), "acme", s.ID, p.Stream, p.ID, account, ann)
					return err
				})
			},
			"accept all": func(rt *rapid.T) {
				if _, _, err := w.AcceptAll(t.Context(), "acme", s.ID, rapid.IntRange(50, 100).Draw(rt, "least"), ann); err != nil {
					rt.Fatal(err)
				}
			},
			"undo": func(rt *rapid.T) {
				if all := decisions(rapid.Bool().Draw(rt, "rejected")); len(all) > 0 {
					undo(rapid.SampledFrom(all).Draw(rt, "decision"))
				}
			},
			"run": run, "search": search,
			"": func(rt *rapid.T) {
				want := maps.Clone(before)
				for _, d := range decisions(false) {
					want[d.ID] = sources.Link{Stream: d.Stream, ID: d.ID, Account: d.Account, By: d.By, Made: d.Made}
				}
				got := map[string]sources.Link{}
				for _, text := range w.links(s) {
					var link sources.Link
					if err := json.Unmarshal([]byte(text[strings.Index(text, " {")+1:]), &link); err != nil {
						rt.Fatal(text, err)
					}
					got[link.ID] = link
				}
				if !maps.Equal(got, want) {
					rt.Fatalf("the links are %v, not %v", got, want)
				}
			},
		})
		for _, rejected := range []bool{false, true} {
			for _, d := range decisions(rejected) {
				undo(d)
			}
		}
		if got := w.links(s); strings.Join(got, "\n") != strings.Join(stored, "\n") {
			rt.Fatalf("the links are %q, and were %q", got, stored)
		}
		if err := w.Delete(t.Context(), "acme", s.ID); err != nil {
			rt.Fatal(err)
		}
	})
}
