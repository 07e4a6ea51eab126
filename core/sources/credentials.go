package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/connector"
	"tenure/core/secrets"
	"tenure/core/table"
)

const (
	// CredentialsPurpose is what sealed credentials are bound to.
	CredentialsPurpose = "source.credentials"
	// refreshLease is how long one may take that refreshes a token, and refreshPatience
	// is how long others wait for it.
	refreshLease    = time.Minute
	refreshPatience = 70 * time.Second
	// storeTries is how often a new token is tried to be stored: without it, nobody
	// can get another one.
	storeTries = 8
)

// Credential says which credentials are stored, and nothing of what they are.
type Credential struct {
	// Auth is the name of the way to authenticate.
	Auth string `json:"auth"`
	// Given are the names of the settings that have a value.
	Given []string `json:"given"`
	// Shown are the values that are no secret, such as a user's name.
	Shown map[string]string `json:"shown,omitempty"`
	// App says that the app is that of the deployment, for OAuth.
	App bool `json:"app,omitempty"`
	// Granted says that there is a token, for OAuth.
	Granted bool `json:"granted,omitempty"`
	// Scopes are those that were granted; none where the system does not say, which
	// means those that were asked for.
	Scopes []string `json:"scopes,omitempty"`
	// Once says that the token cannot be refreshed.
	Once bool `json:"once,omitempty"`
	// Refused says that the system does not take them any more.
	Refused bool `json:"refused,omitempty"`
	// TokenExpires and RefreshExpires are in epoch ms; 0: not known. The second is
	// when access has to be granted again unless the source runs before.
	TokenExpires   int64 `json:"token_expires,omitempty"`
	RefreshExpires int64 `json:"refresh_expires,omitempty"`
	// By is the e-mail address of who stored them; Updated is when, in epoch ms.
	By      string `json:"by"`
	Updated int64  `json:"updated"`
}

// Ends returns when access has to be granted again unless the source runs before, in
// epoch ms; 0: not known.
func (c *Credential) Ends() int64 {
	if c.Once {
		return c.TokenExpires
	}
	return c.RefreshExpires
}

// lasting are what scopes are called that ask for nothing but a token that can be
// refreshed. Not every system names them among those it has granted.
var lasting = []string{"offline_access", "refresh_token"}

// NotGranted returns those of the scopes that were asked for that were not granted.
func (c *Credential) NotGranted(asked []string) []string {
	if !c.Granted || c.Scopes == nil {
		return nil
	}
	return slices.DeleteFunc(connector.NotGranted(asked, c.Scopes), func(scope string) bool { return !c.Once && slices.Contains(lasting, scope) })
}

// sealed is credentials as they are stored.
type sealed struct {
	Credential
	Sealed string `json:"sealed"`
	// Token tells one access token from the next without giving it away.
	Token string `json:"token,omitempty"`

	version int64
}

func tokenID(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:8])
}

func (s *Source) credentialsKey(workspace string) table.Key {
	id := s.ID
	if s.Credentials != "" {
		id = s.Credentials
	}
	return table.Key{Partition: workspace + "/sources/" + id, Sort: "credentials"}
}

// loadSealed returns what is stored; nil where nothing is.
func (s *Store) loadSealed(ctx context.Context, key table.Key) (*sealed, error) {
	items, err := s.Table.Get(ctx, []table.Key{key}, true)
	if err != nil || !items[0].Exists() {
		return nil, err
	}
	stored := &sealed{version: items[0].Version}
	return stored, json.Unmarshal(items[0].Body, stored)
}

// open returns the credentials in the open, with the app of the deployment where it
// is that.
func (s *Store) open(ctx context.Context, workspace string, source *Source, stored *sealed) (*connector.Credentials, error) {
	c, err := s.unseal(ctx, workspace, source.credentialsKey(workspace), stored)
	if err != nil || !stored.App {
		return c, err
	}
	app, err := s.openApp(ctx, source.Connector)
	if err == nil && (app == nil || app.Auth != c.Auth) {
		err = refuse(core.Conflicting, "credentials", "This deployment has no app for the system any more: store one of your own, or ask its operator")
	}
	if err != nil {
		return nil, err
	}
	c.Values = app.Values
	return c, nil
}

// unseal returns what is stored of credentials in the open.
func (s *Store) unseal(ctx context.Context, workspace string, key table.Key, stored *sealed) (*connector.Credentials, error) {
	text, err := s.Sealer.Open(ctx, secrets.Binding{Workspace: workspace, Purpose: CredentialsPurpose}, stored.Sealed)
	if err != nil {
		return nil, err
	}
	var c struct {
		Key table.Key `json:"key"` // so that nothing sealed serves in another place
		connector.Credentials
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	if c.Key != key {
		return nil, secrets.ErrNotOpened
	}
	return &c.Credentials, nil
}

// storeSealed seals and stores credentials in place of those of a version; 0 for
// none.
func (s *Store) storeSealed(ctx context.Context, workspace string, key table.Key, c *connector.Credentials, about Credential, version int64) error {
	kept := *c
	if about.App {
		kept.Values = nil // they stand in one place
	}
	text, err := json.Marshal(struct {
		Key table.Key `json:"key"`
		connector.Credentials
	}{key, kept})
	if err != nil {
		return err
	}
	stored := sealed{Credential: about}
	if stored.Sealed, err = s.Sealer.Seal(ctx, secrets.Binding{Workspace: workspace, Purpose: CredentialsPurpose}, text); err != nil {
		return err
	}
	stored.Granted, stored.Refused, stored.Scopes, stored.Once, stored.TokenExpires, stored.RefreshExpires = false, false, nil, false, 0, 0
	if t := c.Token; t != nil {
		stored.Granted, stored.Token, stored.Scopes, stored.Once = true, tokenID(t.Access), t.Scopes, t.Refresh == ""
		stored.TokenExpires, stored.RefreshExpires = t.Expires, t.RefreshExpires
	}
	body, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	cond := table.Absent()
	if version != 0 {
		cond = table.VersionIs(version)
	}
	return errors.Join(s.Table.Write(ctx, []table.Op{table.Put(table.Item{Key: key, Version: s.version(version), Body: body}, cond)}, nil)...)
}

// Credential returns what there is to know of the credentials that a source uses;
// nil where none are stored.
func (s *Store) Credential(ctx context.Context, workspace string, source *Source) (*Credential, error) {
	stored, err := s.loadSealed(ctx, source.credentialsKey(workspace))
	if stored == nil || err != nil {
		return nil, err
	}
	return &stored.Credential, nil
}

// SetCredentials stores the credentials of a source, which replace older ones
// whole, token included. by is the e-mail address of who does so. A *core.Failure
// names a value that is missing or cannot be.
func (s *Store) SetCredentials(ctx context.Context, workspace string, source *Source, auth string, values map[string]string, by string) error {
	if source.Credentials != "" {
		return refuse(core.Conflicting, "credentials", "The source uses those of another one: store them there")
	}
	c := s.Connector(source.Connector)
	way := authOf(c, auth)
	switch {
	case c.Ended != nil:
		return &core.Failure{Code: core.Conflicting, Field: "auth", Message: c.Ended.Message}
	case way == nil:
		return refuse(core.NotAChoice, "auth", "'auth' is no way to authenticate with %s", c.Title)
	}
	if err := checkSettings(way.Settings, values, "credentials"); err != nil {
		return err
	}
	about := Credential{Auth: auth, By: by, Updated: s.Now().UnixMilli()}
	for _, setting := range way.Settings {
		if value := values[setting.Name]; value != "" {
			about.Given = append(about.Given, setting.Name)
			if !setting.Secret {
				if about.Shown == nil {
					about.Shown = map[string]string{}
				}
				about.Shown[setting.Name] = value
			}
		}
	}
	if err := s.forgetGrant(ctx, workspace, source); err != nil {
		return err
	}
	key := source.credentialsKey(workspace)
	for {
		stored, err := s.loadSealed(ctx, key)
		if err != nil {
			return err
		}
		var version int64
		if stored != nil {
			version = stored.version
		}
		err = s.storeSealed(ctx, workspace, key, &connector.Credentials{Auth: auth, Values: values}, about, version)
		if !errors.Is(err, table.ErrConflict) {
			return err
		}
	}
}

// SetToken stores the token that a person's grant has led to: with the app that is
// stored, or else with that of the deployment.
func (s *Store) SetToken(ctx context.Context, workspace string, source *Source, token *connector.Token, by string) error {
	app, err := s.App(ctx, source.Connector)
	if err != nil {
		return err
	}
	return s.changeToken(ctx, workspace, source, token, by, func(stored *sealed) (*sealed, error) {
		if stored == nil && app != nil {
			stored = &sealed{Credential: Credential{Auth: app.Auth, App: true}}
		}
		if stored == nil {
			return nil, refuse(core.NotFound, "credentials", "There are no credentials that access was granted to")
		}
		return stored, nil
	})
}

// changeToken stores another token with the credentials of a source, or none. with
// returns the credentials in place of what is stored. Those with the app of the
// deployment are nothing without a token.
func (s *Store) changeToken(ctx context.Context, workspace string, source *Source, token *connector.Token, by string, with func(*sealed) (*sealed, error)) error {
	key := source.credentialsKey(workspace)
	for {
		stored, err := s.loadSealed(ctx, key)
		if err == nil {
			stored, err = with(stored)
		}
		if err != nil {
			return err
		}
		if token == nil && stored.App {
			err = errors.Join(s.Table.Write(ctx, []table.Op{table.Delete(key, table.VersionIs(stored.version))}, nil)...)
		} else {
			c := &connector.Credentials{Auth: stored.Auth}
			if stored.version != 0 {
				if c, err = s.unseal(ctx, workspace, key, stored); err != nil {
					return err
				}
			}
			c.Token = token
			about := stored.Credential
			about.By, about.Updated = by, s.Now().UnixMilli()
			err = s.storeSealed(ctx, workspace, key, c, about, stored.version)
		}
		if !errors.Is(err, table.ErrConflict) {
			return err
		}
	}
}

// DeleteCredentials removes the credentials of a source.
func (s *Store) DeleteCredentials(ctx context.Context, workspace string, source *Source) error {
	return errors.Join(s.Table.Write(ctx, []table.Op{
		table.Delete(source.credentialsKey(workspace), table.Condition{}), table.Delete(grantKey(workspace, source.ID), table.Condition{}),
	}, nil)...)
}

func authOf(c *connector.Connector, name string) *connector.Auth {
	if i := slices.IndexFunc(c.Auth, func(a connector.Auth) bool { return a.Name == name }); i >= 0 {
		return &c.Auth[i]
	}
	return nil
}

// credentials returns what a session calls for the credentials of a source.
func (s *Store) credentials(workspace string, source *Source) (
	load func(context.Context) (*connector.Credentials, error),
	refresh func(context.Context, string, func(context.Context, *connector.Credentials) (*connector.Token, error)) (*connector.Credentials, error),
) {
	key := source.credentialsKey(workspace)
	now := func(ctx context.Context) (*connector.Credentials, *sealed, error) {
		stored, err := s.loadSealed(ctx, key)
		if err != nil {
			return nil, nil, err
		}
		if stored == nil {
			return nil, nil, refuse(core.MissingField, "credentials", "No credentials are stored")
		}
		c, err := s.open(ctx, workspace, source, stored)
		return c, stored, err
	}
	load = func(ctx context.Context) (*connector.Credentials, error) {
		c, _, err := now(ctx)
		return c, err
	}
	refresh = func(ctx context.Context, old string, fetch func(context.Context, *connector.Credentials) (*connector.Token, error)) (_ *connector.Credentials, err error) {
		lock, err := s.Access.Lock(ctx, access.LockID(key.Partition+"/token"), refreshLease, refreshPatience)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, lock.Release(ctx)) }()
		c, stored, err := now(ctx)
		if err != nil || c.Token != nil && c.Token.Access != old {
			return c, err
		}
		token, err := fetch(ctx, c)
		if errors.Is(err, connector.ErrCredentials) {
			return nil, errors.Join(err, s.setRefused(ctx, key, stored))
		}
		if err != nil {
			return nil, err
		}
		c.Token = token
		// From here on only this process knows the token, and the one before may be
		// worth nothing any more.
		ctx = context.WithoutCancel(ctx)
		for try := 1; ; try++ {
			err := s.storeSealed(ctx, workspace, key, c, stored.Credential, stored.version)
			if err == nil || errors.Is(err, table.ErrConflict) {
				// With a conflict, somebody has stored others: theirs are used from now on.
				return c, err
			}
			if try == storeTries {
				return nil, err
			}
			if err := s.pause(ctx, time.Duration(try)*time.Second); err != nil {
				return nil, err
			}
		}
	}
	return load, refresh
}

// setRefused notes that the system does not take the credentials any more.
func (s *Store) setRefused(ctx context.Context, key table.Key, stored *sealed) error {
	stored.Refused = true
	body, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	err = errors.Join(s.Table.Write(ctx, []table.Op{
		table.Put(table.Item{Key: key, Version: s.version(stored.version), Body: body}, table.VersionIs(stored.version)),
	}, nil)...)
	if errors.Is(err, table.ErrConflict) {
		return nil // there are others already
	}
	return err
}

func (s *Store) pause(ctx context.Context, d time.Duration) error {
	if s.Sleep != nil {
		return s.Sleep(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
