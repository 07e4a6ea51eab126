package sources

import (
	"context"
	"encoding/json"
	"errors"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/secrets"
	"tenure/core/table"
)

// AppPurpose is what the sealed apps of the deployment are bound to.
const AppPurpose = "source.app"

// AppsPartition is the partition of the apps of the deployment, which belong to no
// workspace.
const AppsPartition = "~apps"

// App is an OAuth app that the operator of the deployment has registered with a
// system, for the sources of all workspaces that have none of their own. It holds no
// secret.
type App struct {
	// Connector is the name of the system's declaration.
	Connector string `json:"connector"`
	// Auth is the name of the way to authenticate.
	Auth string `json:"auth"`
	// Updated is when it was stored, in epoch ms.
	Updated int64 `json:"updated"`
}

// sealedApp is an app as it is stored.
type sealedApp struct {
	App
	Sealed string `json:"sealed"`
}

func appKey(connector string) table.Key {
	return table.Key{Partition: AppsPartition, Sort: connector}
}

// Apps returns the apps of the deployment, by the names of their connectors.
func (s *Store) Apps(ctx context.Context) (map[string]App, error) {
	items, err := s.Table.Query(ctx, table.Query{Partition: AppsPartition, Limit: len(s.Connectors), Consistent: true})
	if err != nil {
		return nil, err
	}
	all := map[string]App{}
	for _, item := range items {
		var app App
		if err := json.Unmarshal(item.Body, &app); err != nil {
			return nil, err
		}
		all[app.Connector] = app
	}
	return all, nil
}

// App returns the app of the deployment with a system; nil where there is none.
func (s *Store) App(ctx context.Context, connector string) (*App, error) {
	stored, err := s.loadApp(ctx, connector)
	if err != nil || stored == nil {
		return nil, err
	}
	return &stored.App, nil
}

func (s *Store) loadApp(ctx context.Context, connector string) (*sealedApp, error) {
	items, err := s.Table.Get(ctx, []table.Key{appKey(connector)}, true)
	if err != nil || !items[0].Exists() {
		return nil, err
	}
	stored := &sealedApp{}
	return stored, json.Unmarshal(items[0].Body, stored)
}

// openApp returns the app of the deployment with a system in the open; nil where
// there is none.
func (s *Store) openApp(ctx context.Context, name string) (*connector.Credentials, error) {
	stored, err := s.loadApp(ctx, name)
	if err != nil || stored == nil {
		return nil, err
	}
	text, err := s.Sealer.Open(ctx, appBinding, stored.Sealed)
	if err != nil {
		return nil, err
	}
	var c struct {
		Connector string `json:"connector"` // so that none serves another system
		connector.Credentials
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	if c.Connector != name {
		return nil, secrets.ErrNotOpened
	}
	return &c.Credentials, nil
}

// appBinding is what apps are sealed for: no workspace has such a name.
var appBinding = secrets.Binding{Workspace: AppsPartition, Purpose: AppPurpose}

// SetApp stores the app of the deployment with a system, in place of an older one. A
// *core.Failure names a value that is missing or cannot be.
func (s *Store) SetApp(ctx context.Context, name string, values map[string]string) error {
	c := s.Connector(name)
	if c == nil {
		return refuse(core.NotFound, "connector", "There is no system '%s'", name)
	}
	way := c.Granting()
	if way == nil {
		return refuse(core.Conflicting, "connector", "%s needs no app: nobody grants access to it", c.Title)
	}
	if err := checkSettings(way.Settings, values, "app"); err != nil {
		return err
	}
	text, err := json.Marshal(struct {
		Connector string `json:"connector"`
		connector.Credentials
	}{name, connector.Credentials{Auth: way.Name, Values: values}})
	if err != nil {
		return err
	}
	stored := sealedApp{App: App{Connector: name, Auth: way.Name, Updated: s.Now().UnixMilli()}}
	if stored.Sealed, err = s.Sealer.Seal(ctx, appBinding, text); err != nil {
		return err
	}
	body, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	return errors.Join(s.Table.Write(ctx, []table.Op{table.Put(table.Item{Key: appKey(name), Version: s.version(0), Body: body}, table.Condition{})}, nil)...)
}

// DeleteApp removes the app of the deployment with a system. Sources that use it
// cannot run any more.
func (s *Store) DeleteApp(ctx context.Context, connector string) error {
	app, err := s.App(ctx, connector)
	if err == nil && app == nil {
		err = refuse(core.NotFound, "connector", "There is no app for '%s'", connector)
	}
	if err != nil {
		return err
	}
	return errors.Join(s.Table.Write(ctx, []table.Op{table.Delete(appKey(connector), table.Condition{})}, nil)...)
}
