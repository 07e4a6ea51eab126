package sources

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/table"
)

// grantLife is how long somebody may take to grant access.
const grantLife = 10 * time.Minute

// grant is access that somebody is about to grant. There is one at a time for a
// source: who begins anew has the one before forgotten.
type grant struct {
	// State is the digest of what comes back with the code; Verifier is the secret that
	// the code is exchanged with (RFC 7636).
	State    string `json:"state"`
	Verifier string `json:"verifier"`
	// By is the e-mail address of who grants it, and Redirect where they come back to.
	By       string `json:"by"`
	Redirect string `json:"redirect"`
}

func grantKey(workspace, id string) table.Key {
	return table.Key{Partition: partition(workspace, id), Sort: "grant"}
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

var errGrant = &core.Failure{Code: core.NotFound, Field: "state", Message: "This is not the answer to anything that was asked within ten minutes: connect again"}

// forgetGrant has what somebody may still answer lead nowhere, as the credentials
// that they were sent with are not to be used any more.
func (s *Store) forgetGrant(ctx context.Context, workspace string, source *Source) error {
	return errors.Join(s.Table.Write(ctx, []table.Op{table.Delete(grantKey(workspace, source.ID), table.Condition{})}, nil)...)
}

// granting returns what a grant of a source goes through, with its credentials.
func (s *Store) granting(ctx context.Context, workspace, id string) (*Source, connector.Config, *connector.Credentials, error) {
	source, err := s.Get(ctx, workspace, id)
	if err != nil {
		return nil, connector.Config{}, nil, err
	}
	if source.Credentials != "" {
		return nil, connector.Config{}, nil, refuse(core.Conflicting, "credentials", "The source uses the credentials of another one: connect that")
	}
	stored, err := s.loadSealed(ctx, source.credentialsKey(workspace))
	var c *connector.Credentials
	switch {
	case err != nil:
	case stored != nil:
		c, err = s.open(ctx, workspace, source, stored)
	default:
		if c, err = s.openApp(ctx, source.Connector); err == nil && c == nil {
			err = refuse(core.MissingField, "credentials", "Store the app's id and secret first")
		}
	}
	if err != nil {
		return nil, connector.Config{}, nil, err
	}
	return source, s.config(source), c, nil
}

// config returns with what access to a source's system is granted.
func (s *Store) config(source *Source) connector.Config {
	return connector.Config{Connector: s.Connector(source.Connector), Settings: source.Settings, Transport: s.Transport, Now: s.Now, Sleep: s.Sleep}
}

// Scopes returns the scopes that a source asks for, by the way to authenticate that
// is called auth, in which a person grants access. An error of package connector
// says that the source's settings yield none.
func (s *Store) Scopes(ctx context.Context, source *Source, auth string) ([]string, error) {
	return connector.Scopes(ctx, s.config(source), auth)
}

// Disconnect forgets the token that a person's grant has led to, and keeps the app's
// id and secret. by is the e-mail address of who does so. The system is told nothing.
func (s *Store) Disconnect(ctx context.Context, workspace string, source *Source, by string) error {
	if source.Credentials != "" {
		return refuse(core.Conflicting, "credentials", "The source uses the credentials of another one: disconnect that")
	}
	if err := s.forgetGrant(ctx, workspace, source); err != nil {
		return err
	}
	return s.changeToken(ctx, workspace, source, nil, by, func(stored *sealed) (*sealed, error) {
		if stored == nil || !stored.Granted {
			return nil, refuse(core.Conflicting, "credentials", "Nobody has granted access to the system")
		}
		return stored, nil
	})
}

// Authorize returns where somebody has to go to grant access to the system, and
// remembers that they went. They come back to redirect with a state, for Granted.
func (s *Store) Authorize(ctx context.Context, workspace, id, redirect, by string) (string, error) {
	_, config, credentials, err := s.granting(ctx, workspace, id)
	if err != nil {
		return "", err
	}
	state, verifier := id+"."+rand.Text(), rand.Text()+rand.Text()
	to, err := connector.AuthorizeURL(ctx, config, credentials, redirect, state, verifier)
	if errors.Is(err, connector.ErrRefused) {
		return "", refuse(core.Conflicting, "credentials", "Nobody can grant access to the system: %v", err)
	}
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(grant{digestOf(state), verifier, by, redirect})
	if err != nil {
		return "", err
	}
	item := table.Item{Key: grantKey(workspace, id), Version: s.version(0), Expires: s.Now().Add(grantLife).UnixMilli(), Body: body}
	return to, errors.Join(s.Table.Write(ctx, []table.Op{table.Put(item, table.Condition{})}, nil)...)
}

// Granted takes the answer of somebody who has granted access, exchanges the code
// that it has for a token, and stores that. The query is that of the request with
// which they came back. A *core.Failure or an error of package connector says why
// there is none; the source is returned as soon as it is known.
func (s *Store) Granted(ctx context.Context, workspace string, query url.Values, by string) (*Source, error) {
	state := query.Get("state")
	id, _, _ := strings.Cut(state, ".")
	if id == "" || len(state) > maxText {
		return nil, errGrant
	}
	items, err := s.Table.Get(ctx, []table.Key{grantKey(workspace, id)}, true)
	if err != nil {
		return nil, err
	}
	var g grant
	if !items[0].Exists() {
		return nil, errGrant
	}
	if err := json.Unmarshal(items[0].Body, &g); err != nil {
		return nil, err
	}
	if g.State != digestOf(state) || g.By != by {
		return nil, errGrant
	}
	// It is good for one answer, whatever that is.
	err = errors.Join(s.Table.Write(ctx, []table.Op{table.Delete(items[0].Key, table.VersionIs(items[0].Version))}, nil)...)
	if errors.Is(err, table.ErrConflict) {
		return nil, errGrant
	}
	if err != nil {
		return nil, err
	}
	source, config, credentials, err := s.granting(ctx, workspace, id)
	if err != nil {
		return source, err
	}
	if denied := query.Get("error"); denied != "" {
		if why := query.Get("error_description"); why != "" {
			denied += ": " + why
		}
		return source, refuse(core.Conflicting, "code", "%s has not granted access: %s", config.Connector.Title, clip(denied))
	}
	token, err := connector.Exchange(ctx, config, credentials, g.Redirect, query.Get("code"), g.Verifier)
	if err != nil {
		return source, err
	}
	return source, s.SetToken(ctx, workspace, source, token, by)
}
