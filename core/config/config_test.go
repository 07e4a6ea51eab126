package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"tenure/core/config"
)

func from(settings map[string]string) (config.Config, error) {
	return config.From(func(name string) string { return settings[name] })
}

func TestEverySettingHasADefault(t *testing.T) {
	got, err := from(nil)
	want := config.Config{Host: "127.0.0.1", Port: 8080, DataDir: ".data", Timeout: 30 * time.Second, EventsKept: 90 * 24 * time.Hour, Deployment: "tenure", Region: "us-east-1"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestEverySettingIsRead(t *testing.T) {
	got, err := from(map[string]string{
		"HOST": "0.0.0.0", "PORT": "0", "DATA_DIR": "d", "POST_LOCK_WAIT": "500ms", "REQUEST_TIMEOUT": "1m30s", "EVENTS_KEPT": "168h",
		"DNS_SERVER": "192.0.2.1, 192.0.2.2:5353,", "MAIL_HOST": "mail.example.net", "CONSOLE_URL": "https://t.example/admin/", "AWS_REGION": "eu-west-1", "KEY_ARN": "a",
		"TABLE_NAME": "t", "SOURCES_QUEUE": "q", "DEPLOYMENT": "tenure-prod", "RESPONSE_MODE": "buffer",
		"WORKSPACES": " acme:not-a-real-key , globex:not:a:real:key,,",
	})
	want := config.Config{
		Host: "0.0.0.0", DataDir: "d", Table: "t", SourcesQueue: "q", Deployment: "tenure-prod", Buffer: true, LockWait: 500 * time.Millisecond, Timeout: 90 * time.Second, EventsKept: 7 * 24 * time.Hour,
		DNSServers: []string{"192.0.2.1", "192.0.2.2:5353"}, MailHost: "mail.example.net", ConsoleURL: "https://t.example/admin/", Region: "eu-west-1", Key: "a",
		Workspaces: []config.Workspace{{Name: "acme", Key: "not-a-real-key"}, {Name: "globex", Key: "not:a:real:key"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestSettingsOfTheProcessAreRead(t *testing.T) {
	t.Setenv("PORT", "65535")
	if c, err := config.FromEnv(); err != nil || c.Port != 65535 {
		t.Errorf("port %d, %v", c.Port, err)
	}
}

func TestBadSettingsAreNamedAndNoKeyIsPrinted(t *testing.T) {
	const key = "not-a-real-key"
	for _, c := range []struct{ setting, value string }{
		{"PORT", "x"}, {"PORT", "-1"}, {"PORT", "65536"}, {"PORT", "80 "}, {"PORT", "8.0"},
		{"POST_LOCK_WAIT", "5"}, {"POST_LOCK_WAIT", "-1s"}, {"POST_LOCK_WAIT", "soon"},
		{"REQUEST_TIMEOUT", "0s"}, {"REQUEST_TIMEOUT", "-1s"}, {"REQUEST_TIMEOUT", "30"},
		{"EVENTS_KEPT", "167h"}, {"EVENTS_KEPT", "90"}, {"EVENTS_KEPT", "0"},
		{"WORKSPACES", key}, {"WORKSPACES", ":" + key}, {"WORKSPACES", "acme:"}, {"WORKSPACES", "acme:" + key + "," + key},
		{"WORKSPACES", "acme:" + key + ",acme:" + key + "2"},
	} {
		_, err := from(map[string]string{c.setting: c.value})
		switch {
		case err == nil:
			t.Errorf("%s=%q is taken", c.setting, c.value)
		case !strings.Contains(err.Error(), c.setting):
			t.Errorf("%s=%q: %q does not name the setting", c.setting, c.value, err)
		case strings.Contains(err.Error(), key):
			t.Errorf("%s=%q: %q prints a key", c.setting, c.value, err)
		}
	}
}

func TestTheFirstBadSettingIsTheOneReported(t *testing.T) {
	_, err := from(map[string]string{"POST_LOCK_WAIT": "soon", "REQUEST_TIMEOUT": "later"})
	if err == nil || !strings.Contains(err.Error(), `POST_LOCK_WAIT "soon"`) {
		t.Errorf("%v", err)
	}
}
