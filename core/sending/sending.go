// Package sending knows from which domain and address a workspace sends its mail:
// the key the mail is signed with, the records that belong into the domain's DNS,
// and what DNS and the mail service say of them.
package sending

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tenure/core"
	"tenure/core/secrets"
	"tenure/core/table"
)

// DomainState says how far a domain is.
type DomainState string

// The states of a domain.
const (
	// Pending: required records are missing, and no check has found them all yet.
	Pending DomainState = "pending"
	// Verified: all required records are right.
	Verified DomainState = "verified"
	// Failing: a required record is not what it should be, or not there any more.
	Failing DomainState = "failing"
)

// Setup is what a workspace has set up, as it may be shown: it holds no secret.
type Setup struct {
	// Domain is as DNS has it, Shown as people write it; both are empty when nothing
	// is set up.
	Domain string `json:"domain"`
	Shown  string `json:"shown"`
	// From is the address that mail is from unless it says otherwise.
	From string `json:"from"`
	// Zone is the registered domain that the domain is or belongs to.
	Zone string `json:"zone"`
	// MailFrom is the name that takes bounces.
	MailFrom string      `json:"mail_from"`
	State    DomainState `json:"state"`
	// Checked is when the records were last looked up, in epoch ms; 0 for never.
	Checked int64 `json:"checked"`
	// Note says what the last check found of the domain as a whole.
	Note    string   `json:"note,omitempty"`
	Records []Record `json:"records"`
	Keys    []Key    `json:"keys"`
	// Relay is what people call the service that sends.
	Relay string `json:"relay"`
	// Service is what that service says of the domain; nil where it need not know it.
	Service *Service `json:"service"`
	// Leaving are domains of before that the service still has to be rid of.
	Leaving []string `json:"leaving,omitempty"`
}

// Rotating reports whether another key is to take the place of the one in use.
func (s *Setup) Rotating() bool {
	return slices.ContainsFunc(s.Keys, func(k Key) bool { return k.Use == NextKey })
}

// KeyUse says what a key is used for.
type KeyUse string

// The uses of a key.
const (
	// SigningKey: mail is signed with it.
	SigningKey KeyUse = "signing"
	// NextKey: mail will be signed with it once its record is found.
	NextKey KeyUse = "next"
	// RetiringKey: mail on its way was signed with it.
	RetiringKey KeyUse = "retiring"
)

// Key is what there is to know of a signing key.
type Key struct {
	Selector string `json:"selector"`
	Use      KeyUse `json:"use"`
	// Created is in epoch ms.
	Created int64 `json:"created"`
}

// Provider is the mail service, where it has to know each domain and its key
// (core/sending/ses). A *core.Failure among its errors is the workspace's to mend.
type Provider interface {
	// Ensure has the service know the domain as it is given. To do so again changes
	// nothing.
	Ensure(ctx context.Context, id Identity) error
	// Status returns what the service says of a domain.
	Status(ctx context.Context, domain string) (Service, error)
	// Remove has the service forget a domain. One that it does not know is no error.
	Remove(ctx context.Context, domain string) error
}

// Identity is a domain as the mail service has to know it.
type Identity struct {
	Domain   string
	MailFrom string
	Selector string
	// PrivateKey is PKCS #8.
	PrivateKey secrets.Secret
}

// Service is what the mail service says of a domain, in stable words.
type Service struct {
	// Known says that it knows the domain, Sending that it sends for it.
	Known   bool `json:"known"`
	Sending bool `json:"sending"`
	// Domain, DKIM and MailFrom are where it is with verifying each: not_started,
	// pending, success, failed or temporary_failure.
	Domain   string `json:"domain"`
	DKIM     string `json:"dkim"`
	MailFrom string `json:"mail_from"`
	// Selector is that of the key it signs with, ReturnPath the name it has bounces
	// sent to.
	Selector   string `json:"selector"`
	ReturnPath string `json:"return_path"`
	// Problem says in a sentence why it does not know better.
	Problem string `json:"problem,omitempty"`
	// Asked is when it was asked, in epoch ms.
	Asked int64 `json:"asked"`
}

// stored is the body of a workspace's item.
type stored struct {
	Domain   string             `json:"domain,omitempty"`
	From     string             `json:"from,omitempty"`
	Signing  *key               `json:"signing,omitempty"`
	Next     *key               `json:"next,omitempty"`
	Retiring *key               `json:"retiring,omitempty"`
	Findings map[string]Finding `json:"findings,omitempty"`
	Checked  int64              `json:"checked,omitempty"` // epoch ms
	Note     string             `json:"note,omitempty"`
	State    DomainState        `json:"state,omitempty"`
	// Proven is when all required records were right last, in epoch ms.
	Proven  int64    `json:"proven,omitempty"`
	Service *Service `json:"service,omitempty"`
	Leaving []string `json:"leaving,omitempty"`
}

// keys returns the keys, the one in use first.
func (st *stored) keys() []*key {
	return slices.DeleteFunc([]*key{st.Signing, st.Next, st.Retiring}, func(k *key) bool { return k == nil })
}

// owner is the body of a domain's item: which workspace has it.
type owner struct {
	// Workspace is empty once the domain was given up.
	Workspace string `json:"workspace"`
	// Keys is how many keys the domain has had: no two have the same name, because
	// DNS remembers them for a while.
	Keys int `json:"keys"`
}

const (
	// retiringLife is how long the record of a key that is out of use is still shown.
	retiringLife = 7 * 24 * time.Hour
	// ownerMemory is how long a domain that was given up is remembered.
	ownerMemory = 90 * 24 * time.Hour
	// attempts is how often a change is tried that others come in between of.
	attempts = 5
	// serviceTime bounds a call of the mail service.
	serviceTime = 8 * time.Second
	// domainsPartition belongs to no workspace: no workspace's name has a tilde.
	domainsPartition = "~domains/"
)

// Config is what a Store works with.
type Config struct {
	Table    table.Table
	Sealer   *secrets.Sealer
	Resolver *Resolver
	// Relay is who sends.
	Relay Relay
	// Provider is the mail service; nil where it need not know the domains.
	Provider Provider
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log is told what the mail service answers that is nobody's to mend here; nil
	// means slog.Default().
	Log *slog.Logger
}

// Store keeps what workspaces have set up.
type Store struct {
	table    table.Table
	sealer   *secrets.Sealer
	resolver *Resolver
	relay    Relay
	provider Provider
	now      func() time.Time
	log      *slog.Logger
}

// New returns a store.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Store{c.Table, c.Sealer, c.Resolver, c.Relay, c.Provider, c.Now, c.Log}
}

func setupKey(workspace string) table.Key {
	return table.Key{Partition: workspace + "/sending", Sort: "domain"}
}

func ownerKey(domain string) table.Key {
	return table.Key{Partition: domainsPartition + domain, Sort: "owner"}
}

// nextVersion returns a version that a key has not had, where the last one was old.
func (s *Store) nextVersion(old int64) int64 { return max(old+1, s.now().UnixMicro()) }

// errNothing is what there is to say where nothing is set up.
func errNothing() error {
	return &core.Failure{Code: core.NotFound, Field: "domain", Message: "No domain is set up"}
}

// view returns what is stored as it may be shown.
func (s *Store) view(st *stored) *Setup {
	v := &Setup{Leaving: st.Leaving, Relay: s.relay.Name, Records: []Record{}, Keys: []Key{}}
	if st.Domain == "" {
		return v
	}
	v.Domain, v.Shown, v.From, v.Zone, v.MailFrom = st.Domain, shown(st.Domain), st.From, zoneOf(st.Domain), mailFrom(st.Domain)
	v.State, v.Checked, v.Note, v.Records, v.Service = st.State, st.Checked, st.Note, s.records(st), st.Service
	for _, k := range st.keys() {
		use := SigningKey
		switch k {
		case st.Next:
			use = NextKey
		case st.Retiring:
			use = RetiringKey
		}
		v.Keys = append(v.Keys, Key{k.Selector, use, k.Created})
	}
	return v
}

// Get returns what a workspace has set up.
func (s *Store) Get(ctx context.Context, workspace string) (*Setup, error) {
	st, _, err := s.read(ctx, workspace)
	if err != nil {
		return nil, err
	}
	return s.view(st), nil
}

func (s *Store) read(ctx context.Context, workspace string) (*stored, int64, error) {
	items, err := s.table.Get(ctx, []table.Key{setupKey(workspace)}, true)
	if err != nil {
		return nil, 0, err
	}
	st := &stored{}
	if items[0].Exists() {
		err = json.Unmarshal(items[0].Body, st)
	}
	return st, items[0].Version, err
}

// change has f change what a workspace has stored, together with what f returns to
// be written beside it. It begins again when somebody else has written meanwhile.
func (s *Store) change(ctx context.Context, workspace string, f func(*stored) ([]table.Op, error)) (*stored, error) {
	for range attempts {
		st, version, err := s.read(ctx, workspace)
		if err != nil {
			return nil, err
		}
		ops, err := f(st)
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(st)
		if err != nil {
			return nil, err
		}
		item := table.Item{Key: setupKey(workspace), Version: s.nextVersion(version), Body: body}
		switch {
		case version == 0:
			ops = append(ops, table.Put(item, table.Absent()))
		case st.Domain == "" && len(st.Leaving) == 0:
			ops = append(ops, table.Delete(item.Key, table.VersionIs(version)))
		default:
			ops = append(ops, table.Put(item, table.VersionIs(version)))
		}
		if err := s.table.Transact(ctx, ops, nil); !errors.Is(err, table.ErrConflict) {
			return st, err
		}
	}
	return nil, &core.Failure{Code: core.Conflicting, Message: "Somebody else is changing this at the same time: look at it again"}
}

// owned returns the item of a domain, and the operation that replaces it by what
// make returns.
func (s *Store) owned(ctx context.Context, domain string, change func(*owner) error) (table.Op, error) {
	items, err := s.table.Get(ctx, []table.Key{ownerKey(domain)}, true)
	if err != nil {
		return table.Op{}, err
	}
	var o owner
	cond := table.Absent()
	if items[0].Exists() {
		cond = table.VersionIs(items[0].Version)
		if err := json.Unmarshal(items[0].Body, &o); err != nil {
			return table.Op{}, err
		}
	}
	if err := change(&o); err != nil {
		return table.Op{}, err
	}
	item := table.Item{Key: ownerKey(domain), Version: s.nextVersion(items[0].Version)}
	if o.Workspace == "" {
		item.Expires = s.now().Add(ownerMemory).UnixMilli()
	}
	item.Body, err = json.Marshal(o)
	return table.Put(item, cond), err
}

// claim returns the operation that gives a domain, and a new key of it, to a
// workspace.
func (s *Store) claim(ctx context.Context, workspace, domain string) (op table.Op, k *key, err error) {
	op, err = s.owned(ctx, domain, func(o *owner) (err error) {
		if o.Workspace != "" && o.Workspace != workspace {
			return refuse(core.Conflicting, "domain", "must be one that nobody else here has set up: %s is in use", domain)
		}
		o.Workspace = workspace
		o.Keys++
		k, err = s.newKey(ctx, workspace, o.Keys)
		return err
	})
	return op, k, err
}

// Set sets up the domain and the address that a workspace sends from. Another
// domain than before gets a key of its own, and takes the place of the one before.
// A *core.Failure says what is wrong with either.
func (s *Store) Set(ctx context.Context, workspace, domain, from string) (*Setup, error) {
	domain, err := parseDomain(domain)
	if err != nil {
		return nil, err
	}
	if from, err = parseFrom(from, domain); err != nil {
		return nil, err
	}
	st, err := s.change(ctx, workspace, func(st *stored) ([]table.Op, error) {
		if st.Domain == domain {
			st.From = from
			return nil, nil
		}
		op, k, err := s.claim(ctx, workspace, domain)
		if err != nil {
			return nil, err
		}
		leaving := st.Leaving
		if st.Domain != "" {
			leaving = append(leaving, st.Domain)
		}
		*st = stored{Domain: domain, From: from, Signing: k, State: Pending, Leaving: slices.DeleteFunc(leaving, func(d string) bool { return d == domain })}
		return []table.Op{op}, nil
	})
	if err != nil {
		return nil, err
	}
	return s.follow(ctx, workspace, st)
}

// Rotate makes the key that is to take the place of the one in use. Both are to be
// published until a check finds the record of the new one.
func (s *Store) Rotate(ctx context.Context, workspace string) (*Setup, error) {
	st, err := s.change(ctx, workspace, func(st *stored) ([]table.Op, error) {
		if st.Domain == "" {
			return nil, errNothing()
		}
		if st.Next != nil {
			return nil, &core.Failure{Code: core.Conflicting, Field: "key",
				Message: fmt.Sprintf("The key %s is to take the place of the one in use already: publish its record, and check", st.Next.Selector)}
		}
		op, k, err := s.claim(ctx, workspace, st.Domain)
		st.Next = k
		return []table.Op{op}, err
	})
	if err != nil {
		return nil, err
	}
	return s.view(st), nil
}

// Remove takes back what a workspace has set up, and deletes its keys.
func (s *Store) Remove(ctx context.Context, workspace string) (*Setup, error) {
	st, err := s.change(ctx, workspace, func(st *stored) ([]table.Op, error) {
		if st.Domain == "" {
			return nil, errNothing()
		}
		*st = stored{Leaving: append(st.Leaving, st.Domain)}
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return s.follow(ctx, workspace, st)
}

// follow has the mail service know what is stored now, and forget what is not.
// What it does not do now is done by the next check.
func (s *Store) follow(ctx context.Context, workspace string, st *stored) (*Setup, error) {
	for _, domain := range slices.Clone(st.Leaving) {
		if err := s.forget(ctx, domain); err != nil {
			s.log.ErrorContext(ctx, "the mail service keeps a domain", "workspace", workspace, "domain", domain, "error", err)
			continue
		}
		var err error
		if st, err = s.change(ctx, workspace, func(st *stored) ([]table.Op, error) {
			if !slices.Contains(st.Leaving, domain) {
				return nil, nil // it came back, or another has done this
			}
			st.Leaving = slices.DeleteFunc(st.Leaving, func(d string) bool { return d == domain })
			op, err := s.owned(ctx, domain, func(o *owner) error {
				if o.Workspace == workspace {
					o.Workspace = ""
				}
				return nil
			})
			return []table.Op{op}, err
		}); err != nil {
			return nil, err
		}
	}
	if s.provider == nil || st.Domain == "" {
		return s.view(st), nil
	}
	service := s.tell(ctx, workspace, st)
	domain, selector := st.Domain, st.Signing.Selector
	st, err := s.change(ctx, workspace, func(st *stored) ([]table.Op, error) {
		if st.Domain == domain && st.Signing.Selector == selector {
			st.Service = &service
		}
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return s.view(st), nil
}

func (s *Store) forget(ctx context.Context, domain string) error {
	if s.provider == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, serviceTime)
	defer cancel()
	return s.provider.Remove(ctx, domain)
}

// tell makes sure that the mail service knows the domain with the key in use, and
// returns what it says of it.
func (s *Store) tell(ctx context.Context, workspace string, st *stored) Service {
	ctx, cancel := context.WithTimeout(ctx, serviceTime)
	defer cancel()
	service, err := s.provider.Status(ctx, st.Domain)
	// A domain of which nothing was heard yet can be known with a key of before.
	if err == nil && (st.Service == nil || !service.Known || service.Selector != st.Signing.Selector || service.ReturnPath != mailFrom(st.Domain)) {
		var private secrets.Secret
		if private, err = s.open(ctx, workspace, st.Signing); err == nil {
			err = s.provider.Ensure(ctx, Identity{Domain: st.Domain, MailFrom: mailFrom(st.Domain), Selector: st.Signing.Selector, PrivateKey: private})
		}
		if err == nil {
			service, err = s.provider.Status(ctx, st.Domain)
		}
	}
	if failure, ok := errors.AsType[*core.Failure](err); ok {
		service.Problem = failure.Message
	} else if err != nil {
		s.log.ErrorContext(ctx, "the mail service does not take a domain", "workspace", workspace, "domain", st.Domain, "error", err)
		service.Problem = s.relay.Name + " could not be told of the domain; the next check tries again"
	}
	service.Asked = s.now().UnixMilli()
	return service
}
