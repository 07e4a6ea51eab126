package connectortest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"tenure/core/connector"
)

// Suite is what is walked.
type Suite struct {
	Connectors []*connector.Connector
	// StandIns are the systems' stand-ins, by the connectors' names.
	StandIns map[string]func(*Server)
	// Testdata has a directory for each connector, by its name.
	Testdata fs.FS
}

// Run walks the suite: a subtest for each connector, in it one for each of its
// streams, and in that one for each thing that has to hold.
func (s Suite) Run(t *testing.T) {
	for _, c := range s.Connectors {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			sub, err := s.subject(c)
			if err != nil {
				t.Fatal(err)
			}
			sub.walk(func(name string, test func() error) {
				t.Run(name, func(t *testing.T) {
					if err := test(); err != nil {
						t.Error(err)
					}
				})
			})
		})
	}
}

// subject gathers what a connector is tested with.
func (s Suite) subject(c *connector.Connector) (*subject, error) {
	dir, err := fs.Sub(s.Testdata, c.Name)
	if err != nil {
		return nil, err
	}
	standIn := s.StandIns[c.Name]
	if standIn == nil {
		return nil, errors.New("there is no stand-in")
	}
	// What has ended is read as long as it goes on in the tests.
	live := *c
	live.Ended = nil
	sub := &subject{Connector: &live, ended: c.Ended != nil, dir: dir, standIn: standIn, measures: map[*connector.Stream]*measure{}}
	if sub.connection, err = ReadConnection(dir); err != nil {
		return nil, err
	}
	if sub.data, err = readRecords(dir); err != nil {
		return nil, err
	}
	sub.description, err = readDescription(dir)
	return sub, err
}

// walk runs everything by run, one after the other.
func (s *subject) walk(run func(name string, test func() error)) {
	usual := &s.Auth[0]
	on := func(auth *connector.Auth, test func(*world, context.Context) error) func() error {
		return func() error {
			w, err := s.world(auth)
			if err != nil {
				return err
			}
			err = test(w, context.Background())
			return errors.Join(w.note(err), w.trouble())
		}
	}
	run("declaration", s.declared)
	run("check", on(usual, (*world).checks))
	for i := range s.Auth {
		auth := &s.Auth[i]
		run("auth_"+auth.Name, on(auth, (*world).reads))
		if auth.OAuth != nil {
			run("tokens_"+auth.Name, func() error { return s.tokens(auth) })
		}
	}
	if s.ended {
		run("ended", on(usual, (*world).over))
	}
	got := map[string]map[string]connector.Record{} // what golden has read of each stream
	for i := range s.Streams {
		st := &s.Streams[i]
		for _, c := range cases {
			run(st.Name+"/"+c.name, func() error { return c.test(s, usual, st) })
		}
		run(st.Name+"/maps_as_it_must", on(usual, func(w *world, ctx context.Context) error { return w.golden(ctx, st, got) }))
	}
	if s.description != nil {
		run("exceptions", func() error {
			if names := s.description.unneeded(); len(names) > 0 {
				return fmt.Errorf("these exceptions from the vendor's description are not needed: %q", names)
			}
			return nil
		})
	}
}

// cases are what has to hold for every stream.
var cases = []struct {
	name string
	test func(s *subject, auth *connector.Auth, st *connector.Stream) error
}{
	{"reads_every_page", pages},
	{"goes_on_after_a_kill", kills},
	{"waits_when_there_is_too_much", limits},
	{"tries_again_and_fails_cleanly", failures},
	{"uses_nothing_of_half_an_answer", halves},
	{"tells_refusals_apart", refusals},
	{"finds_what_has_changed", changes},
}

// declared checks the declaration by itself.
func (s *subject) declared() error {
	w, err := s.world(&s.Auth[0])
	if err != nil {
		return err
	}
	all := []error{connector.Compile(s.Connector, w.env)}
	for _, set := range s.Settings {
		if set.Required && s.connection.Settings[set.Name] == "" {
			all = append(all, fmt.Errorf("connection.json does not set %s", set.Name))
		}
	}
	for name := range s.connection.Settings {
		if !slices.ContainsFunc(s.Settings, func(set connector.Setting) bool { return set.Name == name }) {
			all = append(all, fmt.Errorf("connection.json sets %s, which is no setting", name))
		}
	}
	for _, auth := range s.Auth {
		values, ok := s.connection.Auth[auth.Name]
		if !ok {
			all = append(all, fmt.Errorf("connection.json has no credentials for %s", auth.Name))
		}
		for _, set := range auth.Settings {
			if ok && set.Secret != strings.Contains(values[set.Name], secret) {
				all = append(all, fmt.Errorf("connection.json: %s of %s: exactly what is secret contains %q", set.Name, auth.Name, secret))
			}
		}
	}
	return errors.Join(append(all, s.mapped())...)
}
